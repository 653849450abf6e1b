"""Colliding inference against plain full ranking, and neighbour search, at Adressa's size; prints ratios of one run.

    python benchmarks/bench_colliding.py [--users 212231] [--items 6596] [--neighbors 20] [--ranked 5000]

The vectors are random (the cost does not depend on them). Plain and mixed rankings take turns and the best of each counts,
so that a busy machine disturbs the ratio little.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np

from tfadt.evaluation.ranking import Ranker
from tfadt.inference.colliding import CollidingScorer
from tfadt.inference.neighbors import neighbor_table
from tfadt.models.gmf import GMF

LIMITS = {"logits": 1.5, "probabilities": 10.0}
SEARCH_LIMIT = 1000.0  # users a second


def main() -> None:
    """Prints the ratios and the search rates, each beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=212_231)
    parser.add_argument("--items", type=int, default=6_596)
    parser.add_argument("--neighbors", type=int, default=20)
    parser.add_argument("--ranked", type=int, default=5_000, help="users that are ranked, and searched for")
    parser.add_argument("--rounds", type=int, default=6)
    sizes = parser.parse_args()

    rng = np.random.default_rng(0)
    model = GMF(sizes.users, sizes.items, embedding_dim=32)
    model.user_table.assign(rng.normal(size=(sizes.users, 32)))
    model.item_table.assign(rng.normal(size=(sizes.items, 32)))
    # Random neighbours: hardly two users of a block share one, the dearest case.
    neighbors = (
        np.arange(sizes.users)[:, None] + rng.integers(1, sizes.users, (sizes.users, sizes.neighbors))
    ) % sizes.users
    users = np.arange(min(sizes.ranked, sizes.users))
    rankers = {"plain": Ranker(model, 20)}
    rankers |= {mix: Ranker(CollidingScorer(model, neighbors, 0.5, mix), 20) for mix in LIMITS}
    best = dict.fromkeys(rankers, np.inf)
    for _ in range(sizes.rounds):
        for name, ranker in rankers.items():
            best[name] = min(best[name], seconds(lambda ranker=ranker: ranker(users)))
    print(f"plain full ranking: {len(users) / best['plain']:,.0f} users/s")
    for mix, limit in LIMITS.items():
        print(f"colliding, {mix}: {best[mix] / best['plain']:.2f} times plain (limit {limit:g})")

    print(f"peak memory of the process: {peak_memory():,.0f} MB")

    space = model.user_table.numpy()
    nobody = np.zeros(sizes.users, bool)
    nobody[0] = True
    neighbor_table(space, np.ones(sizes.users), nobody, sizes.neighbors)  # imports TensorFlow Recommenders
    for share in (0.1, 1.0):
        ratio = np.where(rng.random(sizes.users) < share, 0.05, 0.0)
        searched = np.zeros(sizes.users, bool)
        searched[users] = True
        taken = seconds(lambda ratio=ratio, searched=searched: neighbor_table(space, ratio, searched, sizes.neighbors))
        print(
            f"exact search among {np.count_nonzero(ratio):,} candidates of {sizes.users:,} users: "
            f"{len(users) / taken:,.0f} users/s (limit {SEARCH_LIMIT:,.0f})"
        )


def peak_memory() -> float:
    """Returns the largest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seconds(work: Callable[[], object]) -> float:
    """Returns the wall time of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
