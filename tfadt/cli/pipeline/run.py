"""`tfadt pipeline run`: execute the steps that are not complete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines, print_table
from tfadt.cli.pipeline import common
from tfadt.cli.startup import load_tensorflow
from tfadt.config.loading import dump
from tfadt.data.check import check_source
from tfadt.errors import InterruptedRunError

if TYPE_CHECKING:
    from tfadt.pipelines.local_runner import Listener


@options.reads_log
def run(
    config: options.Config = None,
    *,
    source: options.Source,
    model: common.Model = None,
    policy: common.Policy = None,
    start: Annotated[Path | None, typer.Option("--from", help="Go on from an earlier run: its weights, its drift.")] = None,
    set_: options.Sets = None,
    until: Annotated[str | None, typer.Option(help="Run this step and what it needs, nothing else.")] = None,
    out: common.Folder = common.FOLDER,
    quiet: options.Quiet = False,
) -> None:
    """Run the steps that are not complete; after a failure or a kill, go on where that was.

    Example: tfadt pipeline run pipelines/configs/gmf_t_ce.toml --data clicks.csv --out runs/clicks

    Example: tfadt pipeline run daily.toml --data 'logs/{date}' --date 2026-11-28 --set pipeline.daily=true
    """
    settings = common.settings_of(config, source, model, policy, set_, start)
    check_source(settings.ingest)
    pipeline = common.pipeline_of(config, settings)
    if until is not None:
        pipeline = pipeline.until(until)
    from tfadt.pipelines.local_runner import run as run_locally

    try:
        results = run_locally(pipeline, out, dump(settings), _listener(quiet), load_tensorflow)
    except (InterruptedRunError, KeyboardInterrupt) as error:
        code = error.exit_code if isinstance(error, InterruptedRunError) else 130
        raise InterruptedRunError(f"{str(error) or 'Stopped.'} The same command goes on from there.", code) from error
    print_table(
        ["step", "state", "seconds", "result"],
        [
            [name, "done" if each.executed else "unchanged", f"{each.record.seconds:.1f}", common.figures(each.record)]
            for name, each in results.items()
        ],
    )
    executed = sum(each.executed for each in results.values())
    print_lines([f"{executed} of {len(results)} steps executed; their artifacts lie in {out / 'artifacts'}."])


def _listener(quiet: bool) -> Listener:
    from tfadt.pipelines.local_runner import Listener
    from tfadt.pipelines.store import StepState

    class Printed(Listener):
        def begin(self, step: str) -> None:
            print_lines([f"{step}: running"])

        def line(self, step: str, text: str) -> None:
            print_lines([f"{step} | {text}"])

        def end(self, step: str, state: StepState) -> None:
            took = f", {state.seconds:.1f} s" if state.state == "done" else ""
            print_lines([f"{step}: {state.state}{took}"])

    return Listener() if quiet else Printed()
