"""`tfadt run`: ingest, train every model under every policy, rank the clean test, print the table."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines, print_table, progress
from tfadt.cli.startup import check_early, load_tensorflow
from tfadt.config.loading import load_config
from tfadt.errors import ConfigError, InterruptedRunError
from tfadt.experiments.layout import STUDY

if TYPE_CHECKING:
    from tfadt.data.interactions import InteractionData
    from tfadt.experiments.run import Run


@options.reads_log
def run(
    config: options.Config = None,
    *,
    source: options.Source,
    model: Annotated[str | None, typer.Option(help="Comma-separated, such as gmf,ials.")] = None,
    policy: Annotated[str | None, typer.Option(help="Comma-separated, such as standard,t_ce,noise_model.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Runs of each model and policy.")] = None,
    start: Annotated[Path | None, typer.Option("--from", help="Start from the weights of an earlier run.")] = None,
    set_: options.Sets = None,
    out: Annotated[Path | None, typer.Option(help="Output folder; an earlier run there is replaced.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run of this folder, which was cut.")] = None,
    jobs: options.Jobs = None,
    quiet: options.Quiet = False,
) -> None:
    """Train with and without denoising, and compare on a clean test.

    Example: tfadt run --data clicks.csv --model gmf,neumf --policy standard,t_ce,r_ce --seeds 5 --out runs/clicks
    """
    adt: dict[str, Any] = {
        "models": options.names(model),
        "policies": options.names(policy),
        "seeds": seeds,
        "start_from": start,
    }
    adt = {key: value for key, value in adt.items() if value is not None}
    settings = load_config(config, set_ or [], {"ingest": source, "adt": adt})

    if resume is not None:
        if out is not None or config is not None or adt or source or set_:
            raise ConfigError(f"--resume goes on with the settings of {resume}. Expected no others beside it.")
        if (resume / STUDY).is_file():
            raise ConfigError(f"{resume} holds a study. Go on with it by the same `tfadt study` command as before.")
        out = resume
    out = out or Path("runs/latest")

    if resume is None:
        check_early(settings)
    load_tensorflow()
    from tfadt.experiments import report
    from tfadt.experiments.collide import collide
    from tfadt.experiments.comparison import comparisons, rows, tested_metrics
    from tfadt.experiments.experiment import resume_experiment, run_experiment
    from tfadt.experiments.extra_feedback import colliding_table, training_table, uses_extra_feedback
    from tfadt.experiments.folder import RunFolder
    from tfadt.experiments.saved import SavedRun
    from tfadt.report.page import write_page

    if resume is not None:
        settings = RunFolder(resume).config()

    def keep_report(data: InteractionData, runs: list[Run]) -> None:
        report.write_report(settings, data, runs, out)

    try:
        with progress(quiet) as listener:
            if resume is None:
                interactions, runs = run_experiment(settings, out, listener, keep_report, jobs)
            else:
                interactions, runs = resume_experiment(resume, listener, keep_report, jobs)
            collided = collide(SavedRun.open(out), listener) if settings.collide.enabled else []
    except (InterruptedRunError, KeyboardInterrupt) as error:
        message = str(error) or "Stopped."
        code = error.exit_code if isinstance(error, InterruptedRunError) else 130
        # Stopped before it began, the folder may hold an earlier run, which is not this one to go on with.
        begun = RunFolder(out).holds(settings)
        hint = f"Go on with: tfadt run --resume {quote(str(out))}" if begun else "Nothing was written yet."
        raise InterruptedRunError(f"{message} {hint}", code) from error
    table = rows(runs)
    k = settings.evaluate.k[0]
    print_table(*report.table_cells(table, settings.evaluate.k), keys=2)
    print_lines(report.account_lines(interactions, runs))
    print_lines([report.data_line(interactions)])
    print_lines([report.selection_line(settings, interactions)])
    tests = comparisons(runs, tested_metrics(runs, settings.evaluate.k))
    print_lines(report.verdict_lines(table, tests, k, settings))
    if uses_extra_feedback(runs):
        print_lines(["", "Training with extra feedback"])
        print_table(*training_table(runs, settings.evaluate.k), keys=3)
    if collided:
        print_lines(["", f"Colliding inference, mixed {settings.collide.mix}"])
        print_table(*colliding_table(collided, settings.evaluate.k), keys=4)
    print_lines(report.deploy_lines(runs, out))
    write_page(report.write_report(settings, interactions, runs, out, collided), out)
    print_lines([f"Written to {out}: report.html, results.md, results.json, models, per_user, logs (TensorBoard)."])
