"""Whose predictions are mixed with whose: the neighbours of colliding inference (the paper's section 3.4, eq. 8)."""

from __future__ import annotations

import numpy as np

from tfadt.errors import ConfigError, DataError
from tfadt.inference.retrieval import Search, nearest_users


def sparse_users(ratio: np.ndarray, below: float | None, include_empty: bool = False) -> np.ndarray:
    """Returns whose extra feedback is sparse, so that their predictions are mixed with those of neighbours.

    Args:
        ratio: float `[num_users]`, extra feedback / implicit feedback of each user.
        below: The threshold; None for no threshold.
        include_empty: Whether users without any extra feedback count too, whose vectors warm-up has not trained.

    Returns:
        bool `[num_users]`.
    """
    sparse = np.ones(len(ratio), bool) if below is None else ratio < below
    return sparse if include_empty else sparse & (ratio > 0)


def neighbor_table(
    space: np.ndarray, ratio: np.ndarray, sparse: np.ndarray, num_neighbors: int, search: Search = "exact"
) -> np.ndarray:
    """Returns the neighbours of the sparse users: the most similar users that have extra feedback.

    Args:
        space: float32 `[num_users, d]`, each user's vector after warm-up.
        ratio: float `[num_users]`, extra feedback / implicit feedback; users at 0 are nobody's neighbours.
        sparse: bool `[num_users]`, the users whose neighbours are wanted.
        num_neighbors: |N|.
        search: As in `nearest_users`.

    Returns:
        int64 `[num_users, num_neighbors]`, the most similar first; -1 for every other user, and where fewer users have
        extra feedback.

    Raises:
        ConfigError: If `num_neighbors` is not in 1 .. number of users - 1.
        DataError: If the sizes differ or nobody has extra feedback.
    """
    num_users = len(space)
    if not len(ratio) == len(sparse) == num_users:
        raise DataError(
            f"Vectors, ratios and the choice of users must be of the same users. Received: {num_users}, {len(ratio)} and "
            f"{len(sparse)}."
        )
    if not 1 <= num_neighbors < num_users:
        raise ConfigError(
            f"The number of neighbours must lie in 1 .. {num_users - 1}: a user is not its own neighbour, and there are "
            f"{num_users} users. Received: {num_neighbors}."
        )
    candidates = np.flatnonzero(ratio > 0)
    if not len(candidates):
        raise DataError("Colliding inference needs users with extra feedback, who alone can be neighbours. Received: none.")
    table = np.full((num_users, num_neighbors), -1, np.int64)
    users = np.flatnonzero(sparse)
    table[users] = nearest_users(space, users, candidates, num_neighbors, search)
    return table
