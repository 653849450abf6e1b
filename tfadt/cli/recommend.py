"""`tfadt recommend`: the best items of a user, by a run's model or by an export alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines, print_table
from tfadt.cli.startup import load_tensorflow
from tfadt.errors import ConfigError, DataError


def recommend(
    user: Annotated[str, typer.Option(help="User id, as in the data.")],
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Folder of a finished run.")] = None,
    k: Annotated[int, typer.Option(help="How many items.")] = 10,
    model: options.ModelName = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Rank items of training and validation too.")] = False,
    saved_model: Annotated[Path | None, typer.Option(help="An exported model or version, instead of a run.")] = None,
) -> None:
    """Recommend items to a user with a model of a finished run, or with an exported one.

    Example: tfadt recommend runs/latest --user 42 --k 10
    """
    if (run is None) == (saved_model is None):
        raise ConfigError("Expected the folder of a run or --saved-model, one of them.")
    if k < 1:
        raise ConfigError(f"--k must be at least 1. Received: {k}.")
    if saved_model is not None:
        if model is not None or include_seen:
            raise ConfigError(
                "--model and --include-seen go with a run: an export is one model and fixes what it leaves out."
            )
        _from_export(saved_model, user, k)
        return
    assert run is not None
    load_tensorflow()
    from tfadt.evaluation.ranking import rank
    from tfadt.training.saved import SavedRun

    saved = SavedRun.open(run)
    code = saved.data.users.encode([user])
    if code[0] < 0:
        raise DataError(f"User '{user}' does not occur in the training data of {run} ({saved.data.num_users:,} users).")
    name = model or saved.best()
    # The test's items stay in: they are what the model is asked to find.
    seen = None if include_seen else saved.data.history("train", "valid")
    trained = saved.load_model(name)
    ranking = rank(trained, code, k, seen)
    found = ranking.items[0] >= 0
    items = saved.data.items.decode(ranking.items[0][found])
    scores = ranking.scores[0][found]
    if not len(items):
        raise DataError(f"User '{user}' has seen every item, so there is nothing to recommend (--include-seen ranks all).")
    print_lines([f"{name}, user {user}"])
    _print(items, scores)


def _from_export(path: Path, user: str, k: int) -> None:
    load_tensorflow()
    from tfadt.serving.loading import recommend as ask
    from tfadt.serving.versions import find_version

    folder = find_version(path)
    items, scores, known = ask(folder, user, k)
    print_lines([f"{folder}, user {user}" + ("" if known else " (not known: the most popular items)")])
    _print(items, scores)


def _print(items: Iterable[object], scores: Iterable[float]) -> None:
    print_table(
        ["rank", "item_id", "score"],
        [[str(n), str(item), f"{score:.4f}"] for n, (item, score) in enumerate(zip(items, scores, strict=True), 1)],
    )
