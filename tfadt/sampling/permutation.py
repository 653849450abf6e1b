"""A keyed permutation of 0 .. n-1, computed for each index on its own: no shuffle buffer, no state."""

from __future__ import annotations

import math

import tensorflow as tf

from tfadt.sampling.hashing import derive_keys, round32, scale

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
        self.size = size
        self.seed = seed
        self._stream = stream
        self._rows = math.isqrt(size - 1) + 1
        self._columns = -(-size // self._rows)

    def __call__(self, index: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
        """Returns where `index` goes in the order of `epoch`.

        Args:
            index: int64 in 0 .. n-1, any shape.
            epoch: int64, of a shape that broadcasts against `index`.

        Returns:
            int64 of `index`'s shape.
        """
        out = self._encrypt(index, self._keys(epoch))
        if self._rows * self._columns == self.size:
            return out
        # Only the few that fell outside walk on, each under the keys of its own epoch.
        flat = tf.reshape(out, [-1])
        outside = tf.where(flat >= self.size)
        which = outside[:, 0]  # gather: GPUs have no GatherNd of int64
        keys = self._keys(tf.gather(tf.reshape(tf.broadcast_to(epoch, tf.shape(out)), [-1]), which))
        (walked,) = tf.while_loop(
            lambda x: tf.reduce_any(x >= self.size),
            lambda x: (tf.where(x >= self.size, self._encrypt(x, keys), x),),
            (tf.gather(flat, which),),
        )
        return tf.reshape(tf.tensor_scatter_nd_update(flat, outside, walked), tf.shape(out))

    def _keys(self, epoch: tf.Tensor) -> list[tf.Tensor]:
        return derive_keys(self.seed, range(self._stream, self._stream + _ROUNDS), epoch)

    def _encrypt(self, x: tf.Tensor, keys: list[tf.Tensor]) -> tf.Tensor:
        left = x // self._columns
        right = x - left * self._columns
        for r, key in enumerate(keys):
            if r % 2 == 0:
                left = _add(left, scale(round32(key, right), tf.constant(self._rows, tf.int64)), self._rows)
            else:
                right = _add(right, scale(round32(key, left), tf.constant(self._columns, tf.int64)), self._columns)
        return left * self._columns + right


def _add(a: tf.Tensor, b: tf.Tensor, modulus: int) -> tf.Tensor:
    """Returns `(a + b) % modulus` for both below it; a comparison is several times cheaper than a division."""
    total = a + b
    return tf.where(total >= modulus, total - modulus, total)
