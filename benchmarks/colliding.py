"""Colliding inference against plain full ranking, and the search for neighbours, at Adressa's size.

The vectors are random: the cost does not depend on what they say.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.baselines import DIM
from benchmarks.clicks import ADRESSA
from benchmarks.figures import Figure, cost, interleaved
from tfadt.evaluation.ranking import Ranker
from tfadt.inference.colliding import CollidingScorer
from tfadt.inference.neighbors import neighbor_table
from tfadt.models.gmf import GMF

NEIGHBORS = 20
RANKED = 5_000
_US = 1e6


def colliding() -> list[Figure]:
    """Ranking with neighbours given, in both mixtures, and how many users a second find their neighbours."""
    num_users, num_items, _ = ADRESSA
    rng = np.random.default_rng(0)
    model = GMF(num_users, num_items, embedding_dim=DIM)
    model.user_table.assign(rng.normal(size=(num_users, DIM)))
    model.item_table.assign(rng.normal(size=(num_items, DIM)))
    # Random neighbours: hardly two users of a block share one, the dearest case.
    neighbors = (np.arange(num_users)[:, None] + rng.integers(1, num_users, (num_users, NEIGHBORS))) % num_users
    users = np.arange(RANKED)

    def ranking(ranker: Ranker) -> Callable[[], int]:
        def work() -> int:
            ranker(users)
            return RANKED

        return work

    limits = {"logits": 1.5, "probabilities": 10.0}
    rankers = {"plain": Ranker(model, 20)} | {mix: Ranker(CollidingScorer(model, neighbors, 0.5, mix), 20) for mix in limits}
    best = {name: seconds * _US for name, seconds in interleaved({n: ranking(r) for n, r in rankers.items()}, 6).items()}
    line = f"gmf colliding inference, {NEIGHBORS} neighbours"
    figures = [cost(f"{line}, {m}", "us/user", best[m], "plain full ranking", best["plain"], limits[m]) for m in limits]

    space, searched = model.user_table.numpy(), np.arange(num_users) < RANKED

    def search() -> int:
        neighbor_table(space, np.ones(num_users), searched, NEIGHBORS)
        return RANKED

    rate = 1.0 / interleaved({"search": search}, 2)["search"]
    name = f"exact neighbour search among {num_users:,} users"
    return [*figures, Figure(name, rate, "users/s", "", None, rate, 1000.0)]
