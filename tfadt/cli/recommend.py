"""`tfadt recommend`: the best items of a user by a run's model."""

from __future__ import annotations

from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines, print_table
from tfadt.cli.startup import load_tensorflow
from tfadt.errors import DataError


def recommend(
    run: options.RunFolder,
    user: Annotated[str, typer.Option(help="User id, as in the data.")],
    k: Annotated[int, typer.Option(help="How many items.")] = 10,
    model: options.ModelName = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Rank items of the training history too.")] = False,
) -> None:
    """Recommend items to a user with a model of a finished run.

    Example: tfadt recommend runs/latest --user 42 --k 10
    """
    load_tensorflow()
    from tfadt.training.saved import SavedRun

    saved = SavedRun.open(run)
    code = saved.data.users.encode([user])
    if code[0] < 0:
        raise DataError(f"User '{user}' does not occur in the training data of {run} ({saved.data.num_users:,} users).")
    name = model or saved.best()
    ranking = saved.load_model(name).recommend(code, k, exclude_seen=not include_seen)
    found = ranking.items[0] >= 0
    items = saved.data.items.decode(ranking.items[0][found])
    scores = ranking.scores[0][found]
    print_lines([f"{name}, user {user}"])
    print_table(
        ["rank", "item_id", "score"],
        [[str(n), str(item), f"{score:.4f}"] for n, (item, score) in enumerate(zip(items, scores, strict=True), 1)],
    )
