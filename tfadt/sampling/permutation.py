"""A keyed permutation of 0 .. n-1, computed for each index on its own: no shuffle buffer, no state."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfadt.sampling.hashing import derive_keys, round32, scale, starts

_ROUNDS = 4
_STREAM = 0x50


class KeyedPermutation:
    """A Feistel network with modular addition over a rectangle just larger than n, with cycle walking.

    The domain is `ceil(sqrt n) x ceil(n / ceil(sqrt n))`: fewer than sqrt(n) values lie outside 0 .. n-1, and those walk on
    until they fall inside, which keeps the map a permutation.

    Args:
        size: n, at least 1.
        seed: The seed; each epoch has a permutation of its own.
        stream: What the permutation is for: another stream has permutations of its own.
    """

    def __init__(self, size: int, seed: int, stream: int = _STREAM):
        rows = math.isqrt(size - 1) + 1
        self._sizes = np.array([size, rows, -(-size // rows)])
        self._starts = starts(seed, range(stream, stream + _ROUNDS))

    def __call__(self, index: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
        """Returns where `index` goes in the order of `epoch`.

        Args:
            index: int64 `[K, m]`, in 0 .. n-1.
            epoch: int64 `[K, 1]` or `[K, m]`.

        Returns:
            int64 `[K, m]`.
        """
        return tf.ensure_shape(
            _permuted(index, epoch, *map(tf.constant, self._sizes), tf.constant(self._starts)), index.shape
        )


_MATRIX, _NUMBER = tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([], tf.int64)
_SIGNATURE = [_MATRIX, _MATRIX, _NUMBER, _NUMBER, _NUMBER, tf.TensorSpec([_ROUNDS], tf.uint32)]


# A function of its arguments alone: it is traced once, not for each training.
@tf.function(input_signature=_SIGNATURE, autograph=False)
def _permuted(
    index: tf.Tensor, epoch: tf.Tensor, size: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, starts: tf.Tensor
) -> tf.Tensor:
    out = _encrypt(index, derive_keys(starts, epoch), rows, columns)
    # Only the few that fell outside walk on, each under the keys of its own epoch.
    flat = tf.reshape(out, [-1])
    outside = tf.where(flat >= size)
    which = outside[:, 0]  # gather: GPUs have no GatherNd of int64
    keys = derive_keys(starts, tf.gather(tf.reshape(tf.broadcast_to(epoch, tf.shape(out)), [-1]), which))
    (walked,) = tf.while_loop(
        lambda x: tf.reduce_any(x >= size),
        lambda x: (tf.where(x >= size, _encrypt(x, keys, rows, columns), x),),
        (tf.gather(flat, which),),
    )
    return tf.reshape(tf.tensor_scatter_nd_update(flat, outside, walked), tf.shape(out))


def _encrypt(x: tf.Tensor, keys: list[tf.Tensor], rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    left = x // columns
    right = x - left * columns
    for r, key in enumerate(keys):
        if r % 2 == 0:
            left = _add(left, scale(round32(key, right), rows), rows)
        else:
            right = _add(right, scale(round32(key, left), columns), columns)
    return left * columns + right


def _add(a: tf.Tensor, b: tf.Tensor, modulus: tf.Tensor) -> tf.Tensor:
    """Returns `(a + b) % modulus` for both below it; a comparison is several times cheaper than a division."""
    total = a + b
    return tf.where(total >= modulus, total - modulus, total)
