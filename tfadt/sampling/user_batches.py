"""Batches by user, for models that read a whole history (CDAE)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.sampling.batches import Batch
from tfadt.sampling.columns import DeviceColumns
from tfadt.sampling.negatives import NegativeSampler
from tfadt.sampling.permutation import KeyedPermutation
from tfadt.sampling.ragged import expand


class UserSource:
    """All rows of a few users a step, for models that read a whole history (CDAE).

    An epoch visits every user once, in batches of `batch_size` users; a step's rows are the users' interactions and
    `num_negatives` sampled items for each, flattened over the users (never all user x item cells: sorting those would let
    a small drop rate drop every positive).

    Args:
        rows: The interactions.
        sampler: Draws negatives; None where no negative is asked for.
        batch_size: Users a step.
        num_negatives: Negatives for each positive; 0 for rows of positives alone.
        pairwise: Whether a row is a pair (BPR).
        seed: The seed of the order.
        numbered: Whether batches tell which interaction a row shows.

    Raises:
        DataError: If there is nothing to draw from.
    """

    def __init__(
        self,
        rows: Interactions,
        sampler: NegativeSampler | None,
        batch_size: int = 128,
        num_negatives: int = 1,
        pairwise: bool = False,
        seed: int = 0,
        numbered: bool = False,
    ):
        order = np.argsort(rows.user, kind="stable")
        self._number = tf.Variable(order, trainable=False) if numbered else None
        rows = rows.take(order)
        self._columns = DeviceColumns(rows, sampler, num_negatives, pairwise)
        self._sampler = sampler
        self._num_negatives = num_negatives
        self._pairwise = pairwise
        active, counts = np.unique(rows.user, return_counts=True)
        self._counts = tf.Variable(counts, trainable=False)
        self._starts = tf.Variable(np.cumsum(counts) - counts, trainable=False)
        self.num_users = len(active)
        self.batch_size = min(batch_size, self.num_users)
        self.steps_per_epoch = -(-self.num_users // self.batch_size)
        self.without_negative = self._columns.without_negative
        rows_an_epoch = self._columns.num_positives + self._columns.num_negative_rows
        self.positive_share = 1.0 if pairwise else self._columns.num_positives / rows_an_epoch
        self.has_feedback = rows.false_positive is not None
        self._permutation = KeyedPermutation(self.num_users, seed)
        self._arange = np.arange(self.batch_size, dtype=np.int64)

    def draw(self, steps: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        """Returns the users `[K, batch_size]` of the steps `[K]`, the epochs and the number of users of each step."""
        epoch = steps // self.steps_per_epoch
        first = (steps % self.steps_per_epoch) * self.batch_size
        size = tf.minimum(self.num_users - first, self.batch_size)
        index = tf.minimum(first[:, None] + self._arange, self.num_users - 1)
        return self._permutation(index, epoch[:, None]), epoch, size

    def batch(self, drawn: tuple[tf.Tensor | None, ...], k: tf.Tensor) -> Batch:
        """Returns the cells of the k-th drawn step's users: positives first, then negatives."""
        drawn_users, epochs, sizes = drawn
        users = drawn_users[k][: sizes[k]]  # type: ignore[index]
        epoch = epochs[k]  # type: ignore[index]
        _, row = expand(tf.gather(self._starts, users), tf.gather(self._counts, users))
        if self._sampler is None:
            users, items, *flags = self._columns.gather(row)
            number = None if self._number is None else tf.gather(self._number, row)
            return Batch(users, items, tf.ones_like(users, tf.float32), None, *flags)._replace(interactions=number)
        base = self._columns.with_negative(row)
        n = self._columns.num_positives
        # Each negative has a number of its own, after those of the n interactions: copy c of row r is (c + 1) * n + r.
        key = tf.concat([base + n * (copy + 1) for copy in range(self._num_negatives)], 0)
        base = tf.concat([base] * self._num_negatives, 0)
        shown = base if self._pairwise else row
        users, items, *flags = self._columns.gather(shown)
        number = None if self._number is None else tf.gather(self._number, shown)
        negative_users = users if self._pairwise else tf.gather(self._columns.user, base)
        negatives = self._sampler(negative_users, epoch, key)
        if self._pairwise:
            return Batch(users, items, tf.ones_like(users, tf.float32), negatives, *flags)._replace(interactions=number)
        labels = tf.concat([tf.ones_like(users, tf.float32), tf.zeros_like(negatives, tf.float32)], 0)
        unflagged = tf.zeros_like(negatives, tf.float32)
        flags = [None if flag is None else tf.concat([flag, unflagged], 0) for flag in flags]
        number = None if number is None else tf.concat([number, -tf.ones_like(negatives)], 0)
        users, items = tf.concat([users, negative_users], 0), tf.concat([items, negatives], 0)
        return Batch(users, items, labels, None, *flags)._replace(interactions=number)
