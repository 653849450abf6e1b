"""Recall of what is liked and share of what is disliked, in expectation: where for most interactions only p is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfadt.data.interactions import CSR, Interactions
from tfadt.evaluation.metrics import places
from tfadt.evaluation.ranking import Ranker, Scorer

_DRAWS = 1000


@dataclass(frozen=True)
class Expected:
    """What a ranking reaches, user by user.

    Attributes:
        recall: float64 `[U]`, the sum of 1 - p over a user's hits, over its sum over all of the user's interactions.
        disliked: float64 `[U]`, the sum of p over the hits.
        hits: int64 `[U]`, the number of hits.
    """

    recall: np.ndarray
    disliked: np.ndarray
    hits: np.ndarray

    @property
    def mean_recall(self) -> float:
        """Expected recall, the mean over users; 0 where nobody has anything to recall."""
        return float(self.recall.mean()) if len(self.recall) else 0.0

    @property
    def false_share(self) -> float:
        """Expected share of the hits that are disliked; 0 where there is no hit."""
        return _share(self.disliked.sum(), self.hits.sum())

    def gain_interval(self, other: Expected) -> tuple[float, float]:
        """Returns the 95 % interval of `other`'s false share minus this one's, by a bootstrap over users."""
        columns = np.stack([self.disliked, self.hits, other.disliked, other.hits])
        rng, users = np.random.default_rng(0), len(self.hits)
        gains = []
        for _ in range(_DRAWS):
            disliked, hits, others, other_hits = columns @ np.bincount(rng.integers(users, size=users), minlength=users)
            gains.append(_share(others, other_hits) - _share(disliked, hits))
        low, high = np.quantile(gains, [0.025, 0.975])
        return float(low), float(high)


class ExpectedEvaluator:
    """Ranks the users of a split and counts their hits by the noise model's p.

    A known interaction counts as known (p 0 or 1), another as liked with 1 - p.

    Args:
        rows: The interactions of the split, at least one.
        probability: float64 `[n]`, p of each.
        exclude: Items that are left out of each user's ranking.
        k: Cut-off.
    """

    def __init__(self, rows: Interactions, probability: np.ndarray, exclude: CSR, k: int):
        order = np.lexsort((rows.item, rows.user))
        self._probability, self._exclude, self._k = probability[order], exclude, k
        self.users, counts = np.unique(rows.user, return_counts=True)
        self._rows = CSR(np.concatenate([[0], np.cumsum(counts)]), rows.item[order])
        self._liked = np.add.reduceat(1 - self._probability, self._rows.offsets[:-1])

    def __call__(self, scorer: Scorer) -> Expected:
        """Ranks all items for the split's users.

        Raises:
            DataError: If a score is not a number.
        """
        top = Ranker(scorer, self._k, self._exclude)(self.users).items
        place, hit = places(top, self._rows, scorer.num_items)
        disliked = np.where(hit, self._probability[place], 0.0).sum(axis=1)
        hits = hit.sum(axis=1)
        # A user all of whose interactions are known to be disliked has nothing to recall.
        recall = np.divide(hits - disliked, self._liked, out=np.zeros(len(hits)), where=self._liked > 0)
        return Expected(recall[self._liked > 0], disliked, hits)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
