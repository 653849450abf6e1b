"""`tfadt recommend`: the best items of a user by a run's model."""

from __future__ import annotations

from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines, print_table
from tfadt.cli.startup import load_tensorflow
from tfadt.errors import ConfigError, DataError


def recommend(
    run: options.RunFolder,
    user: Annotated[str, typer.Option(help="User id, as in the data.")],
    k: Annotated[int, typer.Option(help="How many items.")] = 10,
    model: options.ModelName = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Rank items of training and validation too.")] = False,
) -> None:
    """Recommend items to a user with a model of a finished run.

    Example: tfadt recommend runs/latest --user 42 --k 10
    """
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
    if k < 1:
        raise ConfigError(f"--k must be at least 1. Received: {k}.")
    ranking = rank(trained, code, k, seen)
    found = ranking.items[0] >= 0
    items = saved.data.items.decode(ranking.items[0][found])
    scores = ranking.scores[0][found]
    if not len(items):
        raise DataError(f"User '{user}' has seen every item, so there is nothing to recommend (--include-seen ranks all).")
    print_lines([f"{name}, user {user}"])
    print_table(
        ["rank", "item_id", "score"],
        [[str(n), str(item), f"{score:.4f}"] for n, (item, score) in enumerate(zip(items, scores, strict=True), 1)],
    )
