"""Colliding inference for one user, laid open: who the neighbours are and how the list moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfadt.data.interactions import CSR
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.ranking import Ranking, rank
from tfadt.experiments.collide import read_collided
from tfadt.experiments.saved import SavedRun
from tfadt.inference.colliding import CollidingScorer
from tfadt.inference.neighbors import neighbor_table
from tfadt.models.recommender import Recommender


@dataclass(frozen=True)
class Explained:
    """A user's ranking with colliding inference, beside the plain one.

    Attributes:
        lambda_: Weight of the user's own predictions.
        why: Where lambda and |N| come from, or why the user keeps its own predictions.
        neighbors: User codes int64 `[n]`, the most similar first; none for a user that keeps its own predictions.
        similarity: Inner products with the user after warm-up, float32 `[n]`.
        ranking: The mixed ranking, of one user.
        plain_ranks: Rank of each of its items in the plain ranking, from 1, int64 `[k]`; 0 where there is no item.
    """

    lambda_: float
    why: str
    neighbors: np.ndarray
    similarity: np.ndarray
    ranking: Ranking
    plain_ranks: np.ndarray


def explain(
    run: SavedRun,
    name: str,
    model: Recommender,
    user: int,
    k: int,
    exclude: CSR | None = None,
    num_neighbors: int | None = None,
    lambda_: float | None = None,
) -> Explained:
    """Ranks a user with colliding inference.

    Args:
        run: The run.
        name: A training of it with warm-up.
        model: Its model.
        user: User code.
        k: Length of the list.
        exclude: Items that are left out.
        num_neighbors: |N|; default what the run chose for users of this ratio.
        lambda_: Weight of the user's own predictions; default likewise.

    Raises:
        ConfigError: If lambda or |N| is out of range, or one is given without the other where the run chose none.
        DataError: If the training had no warm-up, or the run has chosen neither lambda nor |N|.
    """
    space, ratio = run.warmup_space(name), run.data.extra_feedback_ratio
    lambda_, num_neighbors, why = _settings(run, name, float(ratio[user]), num_neighbors, lambda_)
    only = np.zeros(len(ratio), bool)
    only[user] = num_neighbors > 0
    table = neighbor_table(space, ratio, only, max(num_neighbors, 1), run.config.collide.search)
    ranking = rank(CollidingScorer(model, table, lambda_, run.config.collide.mix), np.array([user]), k, exclude)
    plain = rank(model, np.array([user]), model.num_items, exclude).items[0]
    rank_of = np.zeros(model.num_items + 1, np.int64)  # the last one for -1, no item
    rank_of[plain[plain >= 0]] = np.arange(1, np.count_nonzero(plain >= 0) + 1)
    neighbors = table[user][table[user] >= 0]
    return Explained(lambda_, why, neighbors, space[neighbors] @ space[user], ranking, rank_of[ranking.items[0]])


def _settings(
    run: SavedRun, name: str, ratio: float, num_neighbors: int | None, lambda_: float | None
) -> tuple[float, int, str]:
    """Returns lambda, |N| (0 for a user that keeps its own predictions) and why."""
    if num_neighbors is not None and lambda_ is not None:
        return lambda_, num_neighbors, "as asked for"
    try:
        chosen = read_collided(run, name)
    except DataError as error:
        if num_neighbors is None and lambda_ is None:
            raise DataError(f"{error} Or name both --lambda and --neighbors.") from error
        raise ConfigError("The run chose no lambda and |N|. Expected both --lambda and --neighbors.") from error
    fitting = [each for each in chosen if ratio < each.group.below and not each.group.include_empty and ratio > 0]
    if not fitting:
        widest = max(each.group.below for each in chosen)
        reason = (
            "has no extra feedback" if ratio == 0 else f"has enough extra feedback of its own (ratio not below {widest:g})"
        )
        if num_neighbors is None and lambda_ is None:
            return 1.0, 0, f"the user {reason} and keeps its own predictions"
        raise ConfigError(f"The run chose nothing for this user, who {reason}. Expected both --lambda and --neighbors.")
    best = min(fitting, key=lambda each: each.group.below)
    source = f"chosen on validation for users of ratio < {best.group.below:g}"
    return (
        best.choice.lambda_ if lambda_ is None else lambda_,
        best.choice.num_neighbors if num_neighbors is None else num_neighbors,
        source if lambda_ is None and num_neighbors is None else f"partly {source}",
    )
