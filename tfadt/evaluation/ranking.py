"""Full ranking: users in blocks, scores and top-k on the device, seen items masked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
import tensorflow as tf

from tfadt.data.interactions import CSR, Interactions
from tfadt.evaluation.groups import activity_groups
from tfadt.evaluation.metrics import coverage, ranking_metrics
from tfadt.sampling.ragged import expand

_BLOCK_BYTES = 64 << 20
_FLOAT_BYTES = 4


class Scorer(Protocol):
    """Anything that scores all items for some users."""

    num_users: int
    num_items: int

    def score_users(self, users: tf.Tensor) -> tf.Tensor:
        """Returns float32 `[B, num_items]` for the users int64 `[B]`."""


class Ranking(NamedTuple):
    """The best items of some users.

    Attributes:
        items: int64 `[U, k]`, best first; -1 where fewer than k items are left.
        scores: float32 `[U, k]`; -inf where there is no item.
    """

    items: np.ndarray
    scores: np.ndarray


def block_size(num_items: int) -> int:
    """Returns how many users to rank at a time: their scores fill 64 MB, or a quarter of the free memory if less."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    budget = min(_BLOCK_BYTES, free // 4)
    return max(1, budget // (_FLOAT_BYTES * num_items))


class Ranker:
    """Ranks all items for users, again and again as training goes on, without tracing the graph anew.

    Args:
        scorer: The model; its present weights are read at each call.
        k: How many items; cut to the size of the catalogue.
        exclude: Items that are left out of each user's ranking; None for none.
        block: Users at a time; default by `block_size`.
    """

    def __init__(self, scorer: Scorer, k: int, exclude: CSR | None = None, block: int | None = None):
        self._wanted = k
        self._k = min(k, scorer.num_items)
        self._block = block or block_size(scorer.num_items)
        offsets = None if exclude is None else tf.Variable(exclude.offsets, trainable=False)
        items = None if exclude is None else tf.Variable(exclude.items, trainable=False)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)], autograph=False)
        def rank_block(block_users: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            scores = scorer.score_users(block_users)
            if offsets is not None and items is not None:
                starts = tf.gather(offsets, block_users)
                row, position = expand(starts, tf.gather(offsets, block_users + 1) - starts)
                cells = tf.stack([row, tf.gather(items, position)], axis=1)
                scores = tf.tensor_scatter_nd_update(scores, cells, tf.fill(tf.shape(row), -np.inf))
            best, codes = tf.math.top_k(scores, self._k)
            return tf.where(tf.math.is_inf(best), tf.constant(-1, tf.int64), tf.cast(codes, tf.int64)), best

        self._rank_block = rank_block

    def __call__(self, users: np.ndarray) -> Ranking:
        """Returns the ranking of the users int64 `[U]`."""
        items = np.full((len(users), self._wanted), -1, np.int64)
        scores = np.full((len(users), self._wanted), -np.inf, np.float32)
        for first in range(0, len(users), self._block):
            rows = slice(first, first + self._block)
            items[rows, : self._k], scores[rows, : self._k] = self._rank_block(tf.constant(users[rows], tf.int64))
        return Ranking(items, scores)


@dataclass(frozen=True)
class Evaluation:
    """How well a model ranks the relevant items of a split.

    Attributes:
        metrics: Means over the users, such as `"recall@20"`, and `"coverage@20"` over the catalogue.
        per_user: One row a user: `user` (code), `train_interactions`, `activity_group` (0 the least active) and the
            metrics.
    """

    metrics: dict[str, float]
    per_user: pd.DataFrame

    def by_group(self, metric: str) -> list[float]:
        """Returns the mean of a metric in each activity group (the paper's Figure 7)."""
        means = self.per_user.groupby("activity_group")[metric].mean()
        return [float(means.get(group, np.nan)) for group in range(4)]


class RankingEvaluator:
    """Evaluates models on one split by full ranking over all items.

    Args:
        split: The relevant pairs; each user in it is ranked. A pair that occurs twice counts once.
        exclude: Items that are left out of each user's ranking (seen in training, or in training and validation).
        ks: Cut-offs.
        activity: Training interactions of each user, int64 `[num_users]`; default: what `exclude` has.
        block: Users at a time; default by the memory there is.
    """

    def __init__(
        self,
        split: Interactions,
        exclude: CSR,
        ks: Sequence[int],
        activity: np.ndarray | None = None,
        block: int | None = None,
    ):
        self.ks = tuple(ks)
        self._exclude = exclude
        self._activity = exclude.counts if activity is None else activity
        self._block = block
        num_users = len(exclude.counts)
        num_items = int(max(split.item.max(initial=0), exclude.items.max(initial=0))) + 1
        relevant = CSR.from_pairs(split.user, split.item, num_users, num_items)
        self.users = np.flatnonzero(relevant.counts)
        self._relevant = CSR(np.concatenate([[0], np.cumsum(relevant.counts[self.users])]), relevant.items)
        self._ranker: tuple[Scorer, Ranker] | None = None

    def __call__(self, scorer: Scorer) -> Evaluation:
        """Ranks all items for the split's users and compares with what is relevant."""
        top = self._rank(scorer)
        values = ranking_metrics(top, self._relevant, scorer.num_items, self.ks)
        activity = self._activity[self.users]
        per_user = pd.DataFrame(
            {"user": self.users, "train_interactions": activity, "activity_group": activity_groups(activity), **values}
        )
        metrics = {name: float(value.mean()) if len(value) else 0.0 for name, value in values.items()}
        metrics |= {f"coverage@{k}": coverage(top[:, :k], scorer.num_items) for k in self.ks}
        return Evaluation(metrics, per_user)

    def recall(self, scorer: Scorer) -> float:
        """Returns the mean recall at the first cut-off alone."""
        k = self.ks[0]
        return float(ranking_metrics(self._rank(scorer), self._relevant, scorer.num_items, (k,))[f"recall@{k}"].mean())

    def _rank(self, scorer: Scorer) -> np.ndarray:
        # The traced graph of one model is kept: training evaluates the same one again and again.
        if self._ranker is None or self._ranker[0] is not scorer:
            self._ranker = (scorer, Ranker(scorer, max(self.ks), self._exclude, self._block))
        return self._ranker[1](self.users).items
