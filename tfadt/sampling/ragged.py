"""Ragged rows in the graph: the flat positions of many ranges, without padding."""

from __future__ import annotations

import tensorflow as tf


def expand(starts: tf.Tensor, counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Lists the positions of the ranges `starts[i] .. starts[i] + counts[i] - 1`, range after range.

    Args:
        starts: int64 `[n]`.
        counts: int64 `[n]`, at least 0.

    Returns:
        `(owner, position)`, int64 `[sum(counts)]`: which range each position belongs to, and the position.
    """
    ends = tf.cumsum(counts)
    # A cumulative sum of ones, not tf.range: tf.range writes its result to host memory on a GPU.
    index = tf.cumsum(tf.ones(tf.reduce_sum(counts)[None], tf.int64), exclusive=True)
    owner = tf.searchsorted(ends, index, side="right", out_type=tf.int64)
    return owner, index + tf.gather(starts - ends + counts, owner)
