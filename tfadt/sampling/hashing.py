"""Keyed hashing in the graph: random numbers that are a pure function of (seed, epoch, row).

Stateless random ops take one key a call, so they cannot be keyed by row; an integer hash can. Hashing is uint32, all index
arithmetic int64: on a GPU TensorFlow keeps int32 arithmetic on the host.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def _mix(x: tf.Tensor) -> tf.Tensor:
    """Finaliser of MurmurHash3: each input bit flips each output bit with probability close to 1/2."""
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(16, tf.uint32)))
    x = x * tf.constant(0x85EBCA6B, tf.uint32)
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(13, tf.uint32)))
    x = x * tf.constant(0xC2B2AE35, tf.uint32)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(16, tf.uint32)))


def hash32(key: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Hashes int64 `x` under a uint32 `key` (shapes broadcast).

    Args:
        key: uint32, from `derive_key`.
        x: int64, at least 0.

    Returns:
        uint32 of the broadcast shape.
    """
    low = tf.cast(tf.bitwise.bitwise_and(x, tf.constant(0xFFFFFFFF, tf.int64)), tf.uint32)
    high = tf.cast(tf.bitwise.right_shift(x, tf.constant(32, tf.int64)), tf.uint32)
    return _mix(_mix(low + key) + high * tf.constant(0x9E3779B1, tf.uint32) + key)


def round32(key: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Mixes int64 `x` below 2**32 into the high bits of a uint32, at half the cost of `hash32`: a round of a cipher.

    Only the high bits are good, which are the ones that `scale` takes; several rounds make up for what one leaves.
    """
    mixed = (tf.cast(x, tf.uint32) + key) * tf.constant(0x9E3779B1, tf.uint32)
    mixed = tf.bitwise.bitwise_xor(mixed, tf.bitwise.right_shift(mixed, tf.constant(15, tf.uint32)))
    return mixed * tf.constant(0x85EBCA6B, tf.uint32)


def derive_key(seed: int, stream: int, counter: tf.Tensor) -> tf.Tensor:
    """Returns the uint32 key of one use (`stream`) at one `counter` (an epoch or a step, int64, any shape)."""
    return hash32(tf.constant(starts(seed, [stream])[0]), counter)


def derive_keys(starts: tf.Tensor, counter: tf.Tensor) -> list[tf.Tensor]:
    """Returns the key that `derive_key` gives for each of n streams, hashed together, given their `starts`, uint32 `[n]`."""
    keys = hash32(tf.reshape(starts, [-1, *[1] * counter.shape.rank]), counter)
    return [keys[n] for n in range(starts.shape[0])]  # GPUs have no Unpack of uint32


def starts(seed: int, streams: Sequence[int]) -> np.ndarray:
    """Returns what the keys of each stream are hashed from, uint32 `[n]`."""
    mask = 0xFFFFFFFF
    of_seed = (seed & mask) * 0x9E3779B1 + (seed >> 32) * 0x7FEB352D + 0x165667B1
    return np.array([(of_seed + stream * 0x632BE5AB) & mask for stream in streams], np.uint32)


def scale(hashed: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Maps a uint32 hash to `0 .. size - 1` (int64, `size` below 2**31) without a division; 0 where `size` is 0."""
    return tf.bitwise.right_shift(tf.cast(hashed, tf.int64) * size, tf.constant(32, tf.int64))


def uniform(hashed: tf.Tensor) -> tf.Tensor:
    """Maps a uint32 hash to float32 in [0, 1)."""
    return tf.cast(tf.bitwise.right_shift(hashed, tf.constant(8, tf.uint32)), tf.float32) * (2.0**-24)
