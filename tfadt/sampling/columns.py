"""The interactions of a split as columns on the device, and which of them can have a negative."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.errors import DataError
from tfadt.sampling.negatives import NegativeSampler


class DeviceColumns:
    """The columns of a split as variables (a graph constant stops at 2 GB).

    A row whose user has every item that could be drawn gets no negative; such rows are counted in `without_negative`.

    Args:
        rows: The interactions, at least one.
        sampler: What will draw the negatives; None where none is drawn.
        num_negatives: Negatives for each positive.
        pairwise: Whether every row of a batch needs a negative.

    Raises:
        DataError: If there is no row, or no pair can be drawn.
    """

    def __init__(self, rows: Interactions, sampler: NegativeSampler | None, num_negatives: int, pairwise: bool):
        if len(rows) == 0:
            raise DataError("There is nothing to train on. Expected at least one interaction. Received: 0.")
        eligible = np.ones(len(rows), bool) if sampler is None else sampler.eligible[rows.user]
        self.num_positives = len(rows)
        self.num_eligible = int(np.count_nonzero(eligible))
        self.without_negative = self.num_positives - self.num_eligible
        self.num_negative_rows = num_negatives * self.num_eligible
        if self.num_eligible == 0 and pairwise:
            raise DataError("No pair can be drawn. Expected a user with an unseen item. Received: users with every item.")
        self.user = tf.Variable(rows.user.astype(np.int64), trainable=False)
        self.item = tf.Variable(rows.item.astype(np.int64), trainable=False)
        self.false_positive, self.known_positive = (
            None if flags is None else tf.Variable(flags.astype(np.float32), trainable=False)
            for flags in (rows.false_positive, rows.known_positive)
        )
        # Only kept where some user has every item; else the i-th eligible row is row i.
        self._eligible_rows = tf.Variable(np.flatnonzero(eligible), trainable=False) if self.without_negative else None
        self._is_eligible = tf.Variable(eligible, trainable=False) if self.without_negative else None

    def gather(self, row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor | None]:
        """Returns user and item (int64), and false-positive and known-positive flags (float32, None if unknown) of rows."""
        flags = (None if flag is None else tf.gather(flag, row) for flag in (self.false_positive, self.known_positive))
        return tf.gather(self.user, row), tf.gather(self.item, row), *flags

    def eligible_row(self, index: tf.Tensor) -> tf.Tensor:
        """Returns the index-th row that can have a negative, counting round and round."""
        index = index % max(self.num_eligible, 1)
        return index if self._eligible_rows is None else tf.gather(self._eligible_rows, index)

    def with_negative(self, row: tf.Tensor) -> tf.Tensor:
        """Returns those of the rows that can have a negative."""
        return row if self._is_eligible is None else tf.boolean_mask(row, tf.gather(self._is_eligible, row))
