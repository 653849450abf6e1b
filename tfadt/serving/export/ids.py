"""External ids inside the graph: found and named where the model runs, so that a client sends and receives strings."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfadt.errors import DataError


class _Positions(tf.lookup.KeyValueTensorInitializer):
    """Fills a table with `ids[n] -> n` from a variable.

    The ids lie in the checkpoint, which has checksums and no limit of 2 GB, and not a second time in the graph. A loader
    restores variables before it fills tables.
    """

    def __init__(self, ids: tf.Variable):
        super().__init__([], [], tf.string, tf.int64)
        self._ids = ids

    def initialize(self, table: Any) -> tf.Operation:
        """Returns the operation that fills the table."""
        keys = self._ids[:-1]  # without the padding
        positions = tf.range(tf.size(keys, tf.int64))
        return tf.raw_ops.LookupTableImportV2(table_handle=table.resource_handle, keys=keys, values=positions)


class IdTable(tf.Module):
    """The ids of one vocabulary, in code order.

    Args:
        ids: The ids as in `Vocabulary.ids`, all strings or all integers.
        name: What they are, for errors.

    Raises:
        DataError: If an id is the empty string, which pads rankings.
    """

    def __init__(self, ids: np.ndarray, name: str):
        super().__init__(name=name)
        texts = [str(value) for value in ids]
        if "" in texts:
            raise DataError(f"An empty {name} pads requests and rankings. Expected ids of at least one character.")
        self.size = len(texts)
        with tf.device("CPU"):  # There are no strings on a GPU.
            self.ids = tf.Variable([*texts, ""], trainable=False, dtype=tf.string)
            self.table = tf.lookup.StaticHashTable(_Positions(self.ids), -1)

    def find(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the codes of string ids, int64 of the same shape; -1 for an id that is not known."""
        return self.table.lookup(ids)

    def names(self, codes: tf.Tensor) -> tf.Tensor:
        """Returns the ids of int64 codes, string of the same shape; the empty string for -1."""
        return tf.gather(self.ids, tf.where(codes < 0, tf.constant(self.size, codes.dtype), codes))
