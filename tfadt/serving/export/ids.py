"""External ids inside the graph: found and named where the model runs, so that a client sends and receives its own."""

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


def why_no_integers(ids: np.ndarray, name: str, padded: bool = False) -> str | None:
    """Returns why a vocabulary cannot be asked by integers, None if it can.

    Args:
        ids: The ids as in `Vocabulary.ids`.
        name: What they are, for the answer.
        padded: Whether -1 stands for no id.
    """
    if ids.dtype.kind != "i":
        return f"each {name} must be an integer, and there is {str(ids[0])!r}"
    if padded and ids.min() < 0:
        return f"a place without an item is -1, and there is the {name} {ids.min()}"
    return None


class IntegerIdTable(tf.Module):
    """The ids of one vocabulary of integers, in code order. Nothing here is text, so all of it runs on a GPU, too.

    Args:
        ids: int64 `[n]`, in any order.
        name: What they are, for errors.
    """

    def __init__(self, ids: np.ndarray, name: str):
        super().__init__(name=f"integer_{name}")
        order = np.argsort(ids, kind="stable")
        self._sorted = tf.Variable(ids[order], trainable=False, dtype=tf.int64)
        self._codes = tf.Variable(order, trainable=False, dtype=tf.int64)
        self._ids = tf.Variable(np.append(ids, -1), trainable=False, dtype=tf.int64)

    def find(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the codes of ids int64 `[B]`, int64; -1 for an id that is not known."""
        place = tf.minimum(tf.searchsorted(self._sorted, ids, out_type=tf.int64), self._sorted.shape[0] - 1)
        return tf.where(tf.gather(self._sorted, place) == ids, tf.gather(self._codes, place), tf.constant(-1, tf.int64))

    def names(self, codes: tf.Tensor) -> tf.Tensor:
        """Returns the ids of int64 codes, int64 of the same shape; -1 for -1."""
        last = tf.constant(self._sorted.shape[0], codes.dtype)
        return tf.gather(self._ids, tf.where(codes < 0, last, codes))
