"""`tfadt pipeline status`: which steps are complete, and why the others would run."""

from __future__ import annotations

from tfadt.cli import options
from tfadt.cli.console import print_lines, print_table
from tfadt.cli.pipeline import common
from tfadt.config.loading import load_config


@options.reads_log
def status(
    config: options.Config = None,
    *,
    source: options.Source,
    model: common.Model = None,
    policy: common.Policy = None,
    set_: options.Sets = None,
    out: common.Folder = common.FOLDER,
) -> None:
    """Tell which steps are complete, and why the others would run; without a configuration, as each pipeline last ran.

    Example: tfadt pipeline status pipelines/configs/gmf_t_ce.toml --data clicks.csv --out runs/clicks
    """
    from tfadt.pipelines.planning import status as status_of
    from tfadt.pipelines.store import Store

    store = Store(out)
    if config is None and model is None and policy is None and not set_ and not source:
        pipelines = [common.named_pipeline(name, load_config(base=state.config)) for name, state in store.states()]
    else:
        pipelines = [common.pipeline_of(config, common.settings_of(config, source, model, policy, set_))]
    for pipeline in pipelines:
        print_lines([f"{pipeline.name}:"])
        print_table(
            ["step", "state", "note", "result", "execution"],
            [
                [each.step, each.state, each.note, common.figures(each.record) if each.record else "", each.execution]
                for each in status_of(pipeline, store)
            ],
        )
