"""`tfadt recommend`: the best items of a user, or of many, by a run's model or by an export alone."""

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

    from tfadt.experiments.explain import Explained
    from tfadt.experiments.saved import SavedRun

_MOST = 1_000_000


def recommend(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Folder of a finished run.")] = None,
    user: Annotated[str | None, typer.Option(help="User id, as in the data.")] = None,
    users: Annotated[Path | None, typer.Option(help="File of user ids, one a line: prints CSV.")] = None,
    items_file: Annotated[Path | None, typer.Option(help="CSV file with item_id and what to show of it, as titles.")] = None,
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
    """Recommend items to a user, or to those of a file, with a model of a finished run, or with an exported one.

    Example: tfadt recommend runs/latest --user 42 --k 10 --collide
    """
    if (run is None) == (saved_model is None):
        raise ConfigError("Expected the folder of a run or --saved-model, one of them.")
    if (user is None) == (users is None):
        raise ConfigError("Expected --user or --users, one of them.")
    if not 1 <= k <= _MOST:
        raise ConfigError(f"--k must be at least 1 and at most {_MOST:,}. Received: {k}.")
    if user is not None and user.encode(errors="ignore").decode() != user:
        raise ConfigError(f"--user must be UTF-8 text. Received: {user!a}.")
    if saved_model is not None:
        if model is not None or include_seen or collide:
            raise ConfigError(
                "--model, --include-seen and --collide go with a run: an export is one model and fixes what it leaves out."
            )
        if user is None or items_file is not None:
            raise ConfigError("--users and --items-file go with a run. Received: --saved-model.")
        _from_export(saved_model, user, k)
        return
    if users is not None and collide:
        raise ConfigError("--collide explains one user's list. Expected --user beside it. Received: --users.")
    if not collide and (neighbors is not None or lambda_ is not None):
        raise ConfigError("--neighbors and --lambda go with --collide.")
    assert run is not None
    load_tensorflow()
    from tfadt.experiments.recommend import read_items, read_users, recommend_users, to_csv, with_items
    from tfadt.experiments.saved import SavedRun

    ids = [user] if user is not None else read_users(users) if users is not None else []
    described = None if items_file is None else read_items(items_file)

    saved = SavedRun.open(run)
    name = model or saved.best("warmup" if collide else None)
    # The test's items stay in: they are what the model is asked to find.
    seen = None if include_seen else saved.data.history("train", "valid")
    trained = saved.load_model(name)
    if collide and user is not None:
        from tfadt.experiments.explain import explain

        code = int(saved.user_codes([user])[0])
        explained = explain(saved, name, trained, code, k, seen, neighbors, lambda_)
        _check_any(explained.ranking.items[0], user)
        _print_explained(saved, name, user, code, explained)
        return
    ranked = recommend_users(saved, trained, ids, k, seen)
    if described is not None:
        ranked = with_items(ranked, described)
    if user is None:
        print(to_csv(ranked), end="")
        return
    _check_any(ranked["item_id"].to_numpy(), user)
    print_lines([f"{name}, user {user}"])
    shown = ranked.drop(columns="user_id").assign(score=ranked["score"].map("{:.4f}".format)).astype(str)
    print_table([str(name) for name in shown], shown.to_numpy().tolist(), keys=2)


def _check_any(items: np.ndarray, user: str) -> None:
    if not len(items) or items[0] == -1:
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
