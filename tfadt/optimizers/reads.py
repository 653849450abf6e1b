"""The rows that one train step reads through a `DeferredAdam`, so that their gradients find their way back."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfadt.optimizers.deferred_adam import DeferredAdam, Rows


class DeferredReads:
    """Hands out table rows during a forward pass and updates them afterwards.

    Args:
        optimizer: Brings the rows up to date.
        tape: Watches them.
    """

    def __init__(self, optimizer: DeferredAdam, tape: tf.GradientTape):
        self._optimizer = optimizer
        self._tape = tape
        self._read: list[tuple[keras.Variable, Rows, tf.Tensor, tf.Tensor]] = []

    def lookup(self, table: keras.Variable, ids: tf.Tensor) -> tf.Tensor:
        """Returns the up-to-date rows of int64 `ids` `[n]` (repeats welcome): float32 `[n, dim]`.

        Raises:
            ValueError: If the table was read in this step already; its second update would overwrite the first.
        """
        if any(table is earlier for earlier, *_ in self._read):
            raise ValueError(f"A step can look a table up once. Received a second lookup of {table.path}.")
        distinct, index = tf.unique(ids, out_idx=tf.int64)
        rows = self._optimizer.read(table, distinct)
        looked_up = tf.gather(rows.weights, index)
        self._tape.watch(looked_up)
        self._read.append((table, rows, index, looked_up))
        return looked_up

    @property
    def weights(self) -> list[tf.Tensor]:
        """What `lookup` returned each time, to differentiate with respect to."""
        return [looked_up for *_, looked_up in self._read]

    def update(self, gradients: Sequence[tf.Tensor]) -> None:
        """Makes the step on the rows, given the gradients of `weights`."""
        for (table, rows, index, _), gradient in zip(self._read, gradients, strict=True):
            # Sorted first: a sum over sorted segments takes a third of the time of one over unsorted segments.
            order = tf.argsort(index, stable=True)
            total = tf.math.segment_sum(tf.gather(gradient, order), tf.gather(index, order))
            self._optimizer.update(table, rows, total)
