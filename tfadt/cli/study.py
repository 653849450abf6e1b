"""`tfadt study`: from a log to a tuned comparison of every row, and a page that says what to deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines, progress
from tfadt.cli.search_table import search_progress
from tfadt.cli.startup import check_early, load_tensorflow
from tfadt.config.loading import load_config
from tfadt.errors import ConfigError, InterruptedRunError
from tfadt.study.budget import BUDGETS, defaults


@options.reads_log
def study(
    config: options.Config = None,
    *,
    source: options.Source,
    budget: Annotated[
        str, typer.Option(help="small, medium or large: trials and seeds of every row, and how many strengths are tried.")
    ] = "small",
    hours: Annotated[
        float | None, typer.Option(min=0, help="Leave out models with which it takes longer; default: of the budget.")
    ] = None,
    set_: options.Sets = None,
    out: Annotated[Path, typer.Option(help="Output folder; a study that was begun there goes on.")] = Path("study"),
    jobs: options.Jobs = None,
    quiet: options.Quiet = False,
) -> None:
    """Tune, train and compare every model with and without denoising; write a page that says what to deploy.

    Example: tfadt study --data clicks.csv --out study
    """
    if budget not in BUDGETS:
        raise ConfigError(f"--budget expects one of {', '.join(BUDGETS)}. Received: '{budget}'.")
    hours = BUDGETS[budget].hours if hours is None else hours
    settings = load_config(config, set_ or [], {"ingest": source}, below=defaults(budget))
    check_early(settings)
    load_tensorflow()
    from tfadt.study.study import run_study

    def say(text: str) -> None:
        if not quiet:
            print_lines([text])

    try:
        page = run_study(settings, out, lambda: search_progress(quiet), lambda: progress(quiet), say, jobs, hours)
    except (InterruptedRunError, KeyboardInterrupt) as error:
        code = error.exit_code if isinstance(error, InterruptedRunError) else 130
        raise InterruptedRunError(f"{str(error) or 'Stopped.'} The same command goes on with the study.", code) from error
    print_lines([f"Written to {out}. Open {page}"])
