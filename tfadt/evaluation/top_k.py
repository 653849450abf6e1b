"""The best of many scores, in two steps where that is faster: the maximum of each group of items, then the best groups."""

from __future__ import annotations

import math

import tensorflow as tf

_LEAST_GROUP = 16  # items, below which a pass over all groups saves nothing


def top_k(scores: tf.Tensor, k: int, num_items: int, excluded: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the largest scores of each row and their places, the largest first, of equal ones the one that comes first.

    In two steps it is the same: where an item is among the k best and its group is not among the k groups of the largest
    maxima, of equal ones the first, each of those has an item that comes before it.

    Args:
        scores: float32 `[B, num_items]`, no NaN.
        k: How many, at most `num_items`.
        num_items: Length of a row.
        excluded: Cells int64 `[n, 2]` that count as -inf; None for none.

    Returns:
        float32 and int64 `[B, k]`.
    """
    size = math.isqrt(num_items // k)  # the groups and the items of the best groups are then as many
    if size < _LEAST_GROUP:
        return _top_k(_masked(scores, excluded), k)
    groups = -(-num_items // size)
    padding = tf.fill([tf.shape(scores)[0], groups * size - num_items], -math.inf)
    grouped = tf.reshape(_masked(tf.concat([scores, padding], axis=1), excluded), [-1, groups, size])
    _, best = _top_k(tf.reduce_max(grouped, axis=2), k)
    best = tf.sort(best, axis=1)  # so that what comes first among all items comes first among these
    values, places = _top_k(tf.reshape(tf.gather(grouped, best, batch_dims=1), [-1, k * size]), k)
    return values, tf.gather(best, places // size, batch_dims=1) * size + places % size


def _top_k(scores: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
    values, places = tf.math.top_k(scores, k)
    return values, tf.cast(places, tf.int64)  # for int32, TensorFlow has GPUs leave the arithmetic to the host


def _masked(scores: tf.Tensor, excluded: tf.Tensor | None) -> tf.Tensor:
    if excluded is None:
        return scores
    return tf.tensor_scatter_nd_update(scores, excluded, tf.fill(tf.shape(excluded)[:1], -math.inf))
