"""Which lambda and |N| colliding inference uses: those that rank validation best, for users of each ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Choice:
    """The best mixture of a grid on validation.

    Attributes:
        lambda_: Weight of a user's own predictions; 1, the plain ranking, where nothing is better.
        num_neighbors: |N|.
        recall: Mean recall of the mixture, None where there is no user to measure.
        plain: Mean recall of the plain ranking.
        users: Number of users it was measured on.
        curve: Mean recall of each |N| (rows) and lambda (columns) of the grid.
    """

    lambda_: float
    num_neighbors: int
    recall: float | None
    plain: float | None
    users: int
    curve: list[list[float]]


def choose(recall: np.ndarray, sizes: Sequence[int], lambdas: Sequence[float]) -> Choice:
    """Returns the mixture with the largest mean recall; of equally good ones that with more of the user's own predictions.

    Args:
        recall: float `[U, len(sizes), len(lambdas)]`, of each user.
        sizes: Numbers of neighbours, ascending.
        lambdas: Weights of the own predictions, the last one 1.
    """
    if not len(recall):
        return Choice(lambdas[-1], sizes[0], None, None, 0, [])
    means = recall.mean(axis=0)
    grid = [(means[s, n], lambdas[n], -sizes[s]) for s in range(len(sizes)) for n in range(len(lambdas))]
    best, lambda_, size = max(grid)
    return Choice(lambda_, -size, float(best), float(means[0, -1]), len(recall), means.tolist())
