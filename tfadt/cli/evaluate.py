"""`tfadt evaluate`: rank the test split again with a run's models."""

from __future__ import annotations

from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_table
from tfadt.cli.startup import load_tensorflow


def evaluate(
    run: options.RunFolder,
    k: Annotated[str | None, typer.Option(help="Cut-offs, comma-separated; default: the run's.")] = None,
    mask: Annotated[str | None, typer.Option(help="Leave out train_valid or train items; default: the run's.")] = None,
) -> None:
    """Rank the test split again with the models of a finished run, with other cut-offs if wanted.

    Example: tfadt evaluate runs/latest --k 10,100
    """
    load_tensorflow()
    from tfadt.experiments.experiment import evaluate_again
    from tfadt.experiments.report import table_cells

    overrides = ([f"evaluate.k={k}"] if k is not None else []) + ([f"evaluate.mask={mask}"] if mask is not None else [])
    settings, table = evaluate_again(run, overrides)
    print_table(*table_cells(table, settings.evaluate.k), keys=2)
