"""The best of many scores, by steps where that is faster: the maximum of each group of items, then the best groups alone."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

_GROUP = 64  # items, whose maximum a few vector instructions find
_SMALL_GROUP = 16
_LEAST_GROUPS = 4  # for each of the k, below which a pass over all groups saves nothing


def top_k(
    scores: tf.Tensor, k: int, num_items: int, excluded: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the largest scores of each row and their places, the largest first, of equal ones the one that comes first.

    By steps it is the same: where an item is among the k best and its group is not among the k groups of the largest
    maxima, of equal ones the first, each of those has an item that comes before it.

    Args:
        scores: float32 `[B, num_items]`.
        k: How many, at most `num_items`.
        num_items: Length of a row.
        excluded: Cells that count as -inf, int64 `[n]`: row * `num_items` + item; None for none.

    Returns:
        float32 and int64 `[B, k]`, and bool `[B]`: whether one of the row's scores, the excluded ones apart, is NaN, so that
        its places mean nothing.
    """
    cells = tf.reshape(scores, [-1])
    if num_items < _LEAST_GROUPS * k * _GROUP:
        scores = tf.reshape(_without(cells, excluded), [-1, num_items])
        return *_top_k(scores, k), _any_nan(scores)
    begin = tf.cumsum(tf.fill([tf.shape(scores)[0], 1], tf.constant(num_items, tf.int64)), exclusive=True)
    found, starts, undefined = _best_groups(cells, begin, k, num_items, excluded)
    small = tf.reshape(found, [-1, (k + 2) * _GROUP // _SMALL_GROUP, _SMALL_GROUP])
    _, best = _top_k(tf.reduce_max(small, axis=2), k)
    best = tf.sort(best, axis=1)  # so that what comes first among all items comes first among these
    values, place = _top_k(tf.reshape(tf.gather(small, best, batch_dims=1), [-1, k * _SMALL_GROUP]), k)
    place = tf.gather(best, place // _SMALL_GROUP, batch_dims=1) * _SMALL_GROUP + place % _SMALL_GROUP
    return values, tf.gather(starts, place // _GROUP, batch_dims=1) + place % _GROUP, undefined


def _best_groups(
    cells: tf.Tensor, begin: tf.Tensor, k: int, num_items: int, excluded: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the groups of each row that can hold one of the k best.

    Groups are of neighbouring cells, whatever rows they lie in: to cut each row into groups would copy all scores. What lies
    before a row's first whole group and behind its last is looked at in any case. Nor are excluded cells written among the
    scores, which would copy them all: they are left out of the maxima of their groups, and of what is found.

    Args:
        cells: float32 `[B * num_items]`, row after row.
        begin: int64 `[B, 1]`, the first cell of each row.
        k: How many.
        num_items: Length of a row.
        excluded: As in `top_k`.

    Returns:
        The scores of k + 2 groups, float32 `[B, (k + 2) * _GROUP]`, -inf for cells of other rows; the place in the row where
        each group begins, int64 `[B, k + 2]`, ascending; and bool `[B]`, whether a score of the row is NaN.
    """
    first = -(-begin // _GROUP)
    whole = (begin + num_items) // _GROUP - first
    last = tf.size(cells, tf.int64) // _GROUP - 1
    grouped = tf.reshape(cells[: (last + 1) * _GROUP], [-1, _GROUP])  # a slice from the front is no copy
    number = np.arange(num_items // _GROUP)  # a row has as many whole groups, or one fewer
    maxima = tf.gather(_maxima(grouped, last, excluded), tf.minimum(first + number, last))
    maxima = tf.where(number < whole, maxima, -math.inf)
    best = tf.sort(_top_k(maxima, k)[1], axis=1)
    inside = tf.where((best < whole)[:, :, None], tf.gather(grouped, tf.minimum(first + best, last)), -math.inf)
    head, tail = first * _GROUP - begin, (first + whole) * _GROUP - begin
    place = np.arange(_GROUP)
    before = tf.where(place < head, tf.gather(cells, begin + place), -math.inf)
    behind = tf.where(tail + place < num_items, tf.gather(cells, begin + tf.minimum(tail + place, num_items - 1)), -math.inf)
    found = tf.concat([before, tf.reshape(inside, [-1, k * _GROUP]), behind], axis=1)
    if excluded is not None:
        places = _places(excluded, best, begin // num_items, head, tail, num_items)
        found = tf.reshape(_without(tf.reshape(found, [-1]), places), tf.shape(found))
    starts = tf.concat([tf.zeros_like(begin), head + best * _GROUP, tail], axis=1)
    return found, starts, _any_nan(maxima) | _any_nan(found)


def _maxima(grouped: tf.Tensor, last: tf.Tensor, excluded: tf.Tensor | None) -> tf.Tensor:
    """Returns the largest score of each group but for excluded cells: groups that have one are looked at once more."""
    maxima = tf.reduce_max(grouped, axis=1)
    if excluded is None:
        return maxima
    excluded = tf.boolean_mask(excluded, excluded // _GROUP <= last)
    groups, place = tf.unique(excluded // _GROUP, tf.int64)
    again = _without(tf.reshape(tf.gather(grouped, groups), [-1]), place * _GROUP + excluded % _GROUP)
    return tf.tensor_scatter_nd_update(maxima, groups[:, None], tf.reduce_max(tf.reshape(again, [-1, _GROUP]), axis=1))


def _places(
    excluded: tf.Tensor, best: tf.Tensor, rows: tf.Tensor, head: tf.Tensor, tail: tf.Tensor, num_items: int
) -> tf.Tensor:
    """Returns where excluded cells are among what `_best_groups` found, int64 `[m]`; most are not there.

    Args:
        excluded: As in `top_k`.
        best: int64 `[B, k]`, the best groups of each row, ascending.
        rows: int64 `[B, 1]`, the number of each row.
        head: int64 `[B, 1]`, the item that each row's first whole group begins with.
        tail: int64 `[B, 1]`, the item behind its last.
        num_items: Length of a row.
    """
    row, item = excluded // num_items, excluded % num_items
    k, width = best.shape[1], num_items // _GROUP + 1  # one more than the groups of a row: what lies before them is in none
    listed = tf.reshape(rows * width + best, [-1])
    inside = item - tf.gather(head[:, 0], row)
    behind = item - tf.gather(tail[:, 0], row)
    wanted = row * width + tf.math.floordiv(inside, _GROUP)
    nearest = tf.minimum(tf.searchsorted(listed, wanted, out_type=tf.int64), tf.size(listed, tf.int64) - 1)
    there = tf.equal(tf.gather(listed, nearest), wanted)
    place = (nearest - row * k + 1) * _GROUP + tf.math.floormod(inside, _GROUP)
    place = tf.where(inside < 0, item, tf.where(behind >= 0, (k + 1) * _GROUP + behind, place))
    return tf.boolean_mask(row * (k + 2) * _GROUP + place, there | (inside < 0) | (behind >= 0))


def _without(cells: tf.Tensor, excluded: tf.Tensor | None) -> tf.Tensor:
    if excluded is None:
        return cells
    return tf.tensor_scatter_nd_update(cells, excluded[:, None], tf.fill(tf.shape(excluded), -math.inf))


def _top_k(scores: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
    values, places = tf.math.top_k(scores, k)
    return values, tf.cast(places, tf.int64)  # for int32, TensorFlow has GPUs leave the arithmetic to the host


def _any_nan(scores: tf.Tensor) -> tf.Tensor:
    """Returns whether one of the scores of each row is NaN: looked for in all, for top_k quietly puts NaN last."""
    return tf.math.is_nan(tf.reduce_max(scores, axis=1))
