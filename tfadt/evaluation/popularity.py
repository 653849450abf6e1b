"""The floor of every comparison: the most popular items for everybody."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


class MostPopular:
    """Scores an item by its number of training interactions; ties go to the lower code.

    Args:
        num_users: Number of users.
        counts: int64 `[num_items]`, training interactions of each item (below 2**24, exact in float32).
    """

    def __init__(self, num_users: int, counts: np.ndarray):
        self.num_users = num_users
        self.num_items = len(counts)
        self._scores = tf.constant(counts, tf.float32)

    def score_users(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the counts, float32 `[B, num_items]`."""
        return tf.tile(self._scores[None], [tf.size(users), 1])
