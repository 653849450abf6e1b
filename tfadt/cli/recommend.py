"""`tfadt recommend`: the best items of a user, by a run's model or by an export alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines, print_table
from tfadt.cli.startup import load_tensorflow
from tfadt.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

    from tfadt.inference.explain import Explained
    from tfadt.training.saved import SavedRun


def recommend(
    user: Annotated[str, typer.Option(help="User id, as in the data.")],
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Folder of a finished run.")] = None,
    k: Annotated[int, typer.Option(help="How many items.")] = 10,
    model: options.ModelName = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Rank items of training and validation too.")] = False,
    collide: Annotated[
        bool, typer.Option("--collide", help="Mix in similar users; show them and how the list moved.")
    ] = False,
    neighbors: Annotated[int | None, typer.Option(help="With --collide: how many; default: as the run chose.")] = None,
    lambda_: Annotated[float | None, typer.Option("--lambda", help="With --collide: weight of the user's own.")] = None,
    saved_model: Annotated[Path | None, typer.Option(help="An exported model or version, instead of a run.")] = None,
) -> None:
    """Recommend items to a user with a model of a finished run, or with an exported one.

    Example: tfadt recommend runs/latest --user 42 --k 10 --collide
    """
    if (run is None) == (saved_model is None):
        raise ConfigError("Expected the folder of a run or --saved-model, one of them.")
    if k < 1:
        raise ConfigError(f"--k must be at least 1. Received: {k}.")
    if saved_model is not None:
        if model is not None or include_seen or collide:
            raise ConfigError(
                "--model, --include-seen and --collide go with a run: an export is one model and fixes what it leaves out."
            )
        _from_export(saved_model, user, k)
        return
    if not collide and (neighbors is not None or lambda_ is not None):
        raise ConfigError("--neighbors and --lambda go with --collide.")
    assert run is not None
    load_tensorflow()
    from tfadt.evaluation.ranking import rank
    from tfadt.training.saved import SavedRun

    saved = SavedRun.open(run)
    code = saved.data.users.encode([user])
    if code[0] < 0:
        raise DataError(f"User '{user}' does not occur in the training data of {run} ({saved.data.num_users:,} users).")
    name = model or saved.best("warmup" if collide else None)
    # The test's items stay in: they are what the model is asked to find.
    seen = None if include_seen else saved.data.history("train", "valid")
    trained = saved.load_model(name)
    if collide:
        from tfadt.inference.explain import explain

        explained = explain(saved, name, trained, int(code[0]), k, seen, neighbors, lambda_)
        _check_any(explained.ranking.items[0], user)
        _print_explained(saved, name, user, int(code[0]), explained)
        return
    ranking = rank(trained, code, k, seen)
    _check_any(ranking.items[0], user)
    found = ranking.items[0] >= 0
    items = saved.data.items.decode(ranking.items[0][found])
    scores = ranking.scores[0][found]
    print_lines([f"{name}, user {user}"])
    _print(items, scores)


def _check_any(items: np.ndarray, user: str) -> None:
    if items[0] < 0:
        raise DataError(f"User '{user}' has seen every item, so there is nothing to recommend (--include-seen ranks all).")


def _print_explained(saved: SavedRun, name: str, user: str, code: int, explained: Explained) -> None:
    data, ratio = saved.data, saved.data.extra_feedback_ratio
    print_lines(
        [
            f"{name}, user {user}: extra feedback / clicks {ratio[code]:.3f}",
            f"lambda {explained.lambda_:g}, {len(explained.neighbors)} neighbours, mixed {saved.config.collide.mix} "
            f"({explained.why})",
        ]
    )
    near = zip(data.users.decode(explained.neighbors), explained.similarity, ratio[explained.neighbors], strict=True)
    if len(explained.neighbors):
        print_table(
            ["neighbour", "user_id", "inner product", "ratio"],
            [[str(n), str(id_), f"{product:.4f}", f"{r:.3f}"] for n, (id_, product, r) in enumerate(near, 1)],
        )
    found = explained.ranking.items[0] >= 0
    items = data.items.decode(explained.ranking.items[0][found])
    rows = zip(items, explained.ranking.scores[0][found], explained.plain_ranks[found], strict=True)
    print_table(
        ["rank", "item_id", "score", "plain rank", "moved"],
        [
            [str(n), str(item), f"{score:.4f}", str(before), f"{before - n:+d}" if before != n else ""]
            for n, (item, score, before) in enumerate(rows, 1)
        ],
    )


def _from_export(path: Path, user: str, k: int) -> None:
    load_tensorflow()
    from tfadt.serving.served import recommend as ask
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
