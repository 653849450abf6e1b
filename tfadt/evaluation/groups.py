"""Users in four groups by activity (the paper's Figure 7)."""

from __future__ import annotations

import numpy as np

NUM_GROUPS = 4


def activity_groups(interactions: np.ndarray) -> np.ndarray:
    """Sorts users by their number of interactions and cuts them into four groups of equal total interactions.

    Args:
        interactions: int64 `[U]`, training interactions of each user.

    Returns:
        int64 `[U]`: 0 for the least active group to 3. A user belongs to the quarter of the interactions in which the
        middle of its own lies; users of equal activity are ordered by position.
    """
    order = np.argsort(interactions, kind="stable")
    ends = np.cumsum(interactions[order])
    total = max(int(ends[-1]), 1) if len(ends) else 1
    middle = ends - interactions[order] / 2
    groups = np.empty(len(interactions), np.int64)
    groups[order] = np.minimum((middle * NUM_GROUPS / total).astype(np.int64), NUM_GROUPS - 1)
    return groups
