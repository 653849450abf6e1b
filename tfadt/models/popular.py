"""The most popular items for everybody: the floor of every comparison, as a model that is saved and served."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from tfadt.data.interactions import CSR
from tfadt.evaluation.ranking import Ranking
from tfadt.models.closed_form import ClosedForm


@keras.saving.register_keras_serializable("tfadt")
class Popular(ClosedForm):
    """Scores an item by the weight of its training interactions, the same for every user.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        **kwargs: As in `Recommender`.
    """

    affine_scores: ClassVar[bool] = True

    def __init__(self, num_users: int, num_items: int, **kwargs: Any):
        super().__init__(num_users, num_items, **kwargs)
        self.counts = self.add_state("counts", (num_items,))
        self.built = True

    def solve(self, weights: sp.csr_matrix, **settings: float) -> None:
        """Counts, each interaction by its weight."""
        del settings
        # In float64, as numpy does this: a float32 sum stops growing at 2**24.
        self.counts.assign(np.bincount(weights.indices, weights.data, minlength=self.num_items))

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the counts of the items."""
        del training
        return tf.gather(self.counts.value, inputs[1])

    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns ones, `[B, 1]`: all users are alike."""
        return tf.ones([tf.size(users), 1])

    def score_vectors(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the counts of all items."""
        return tf.matmul(vectors, self.counts.value[None])

    def rank_users(self, users: np.ndarray, k: int, exclude: CSR | None) -> Ranking:
        """Returns the first k items of the one list that each user may have; `ListScorer` has the arguments."""
        counts = self.counts.numpy()
        order = np.argsort(-counts, kind="stable")
        place = np.tile(np.arange(k), (len(users), 1))
        if exclude is not None:
            place += _skipped(users, k, exclude, np.argsort(order))
        left, codes = place < self.num_items, order[np.minimum(place, self.num_items - 1)]
        return Ranking(np.where(left, codes, -1), np.where(left, counts[codes], -np.inf).astype(np.float32))

    def score_histories(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the counts for histories int64 `[B, H]`, float32 `[B, num_items]`: what was clicked changes nothing."""
        return self.score_vectors(tf.ones([tf.shape(items)[0], 1]))

    def item_vectors(self) -> tf.Tensor:
        """Returns the counts, `[num_items, 1]`: any two items are alike."""
        return tf.convert_to_tensor(self.counts.value)[:, None]


def _skipped(users: np.ndarray, k: int, exclude: CSR, place: np.ndarray) -> np.ndarray:
    """Returns how many excluded items stand before each of the first k others of a list, int64 `[U, k]`.

    Args:
        users: int64 `[U]`.
        k: How many.
        exclude: The excluded items of all users.
        place: int64 `[num_items]`, where each item stands in the list.
    """
    counts = exclude.counts[users]
    owner = np.repeat(np.arange(len(users)), counts)
    at = np.arange(len(owner)) + np.repeat(exclude.offsets[users] - (np.cumsum(counts) - counts), counts)
    where = place[exclude.items[at]]
    # With n excluded items, only those among the first k + n can stand before the k-th other one.
    near = where < k + counts[owner]
    keys = np.sort(owner[near] * len(place) + where[near])
    owner, where = np.divmod(keys, len(place))
    others = where - (np.arange(len(keys)) - np.searchsorted(owner, np.arange(len(users)))[owner])  # that stand before
    reached = others < k
    skipped = np.bincount(owner[reached] * k + others[reached], minlength=len(users) * k)
    return skipped.reshape(len(users), k).cumsum(axis=1)
