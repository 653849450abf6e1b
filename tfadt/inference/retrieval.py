"""Nearest users by inner product, among some of the users, each left out of its own list."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.ranking import block_size
from tfadt.inference.tfrs import retrieval_layers, scann_layer

Search = Literal["exact", "scann"]

_CHUNK = 128  # Columns; from 32 to 256 it makes no difference.


def nearest_users(
    space: np.ndarray, users: np.ndarray, candidates: np.ndarray, k: int, search: Search = "exact", block: int | None = None
) -> np.ndarray:
    """Returns the `k` candidates with the largest inner product with each user, the user itself left out.

    Users are searched in blocks, so memory stays bounded however many candidates there are.

    Args:
        space: float32 `[num_users, d]`, a vector for each user code.
        users: int64 `[n]`, the users to find neighbours for.
        candidates: int64 `[c]`, ascending, the users that can be neighbours.
        k: How many.
        search: `"exact"`, or `"scann"` for an approximate search by the package scann.
        block: Users at a time; default by the memory that there is.

    Returns:
        int64 `[n, k]`, the nearest first, of equally near ones the lower code; -1 where there are fewer candidates.

    Raises:
        ConfigError: If `k` is below 1, the search is unknown, or scann is asked for and not installed.
        DataError: If the space holds values that are not finite numbers.
    """
    if k < 1:
        raise ConfigError(f"The number of neighbours must be at least 1. Received: {k}.")
    if search not in ("exact", "scann"):
        raise ConfigError(f"The search must be 'exact' or 'scann'. Received: {search!r}.")
    if not np.isfinite(space).all():
        raise DataError("Neighbours need finite user vectors (has training diverged?). Received: NaN or infinity.")
    found = np.full((len(users), k + 1), -1, np.int64)
    # One more than asked for: a user who is a candidate is among its own nearest, or so far off that nothing is lost.
    wanted = min(k + 1, len(candidates))
    if wanted and len(users):
        index = _index(search, wanted, space[candidates], candidates)

        @tf.function(input_signature=[tf.TensorSpec([None, space.shape[1]], tf.float32)], autograph=False)
        def nearest(queries: tf.Tensor) -> tf.Tensor:
            return index(queries, k=wanted)[1]

        # The concrete function: TensorFlow takes those of several searches for one that is traced too often, and warns.
        search_block = nearest.get_concrete_function()
        step = block or block_size(len(candidates))
        for first in range(0, len(users), step):
            rows = slice(first, first + step)
            found[rows, :wanted] = search_block(tf.constant(space[users[rows]], tf.float32))
    return _without_self(found, users)[:, :k]


def _index(search: Search, k: int, vectors: np.ndarray, codes: np.ndarray) -> tf.Module:
    if search == "exact":
        layer = _brute_force()(k=k)
    else:
        # Leaves as the square root of what is searched, a tenth of them looked into, the best ordered by exact products.
        leaves = math.isqrt(len(codes) - 1) + 1
        layer = scann_layer()(
            k=k, num_leaves=leaves, num_leaves_to_search=-(-leaves // 10), num_reordering_candidates=min(10 * k, len(codes))
        )
    return layer.index(tf.constant(vectors, tf.float32), tf.constant(codes, tf.int64))


@cache
def _brute_force() -> type:
    """Returns TFRS's `BruteForce` with a top-k for many candidates, where its own takes most of the time."""
    base: Any = retrieval_layers().BruteForce

    class WideBruteForce(base):
        def call(self, queries: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
            best, index = top_k(self._compute_score(queries, self._candidates), k)
            return best, tf.gather(self._identifiers, index)

    return WideBruteForce


def top_k(scores: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what `tf.math.top_k` does, several times faster where there are many columns.

    The k best of a row lie in the k chunks of it with the largest maxima: for one in another chunk, each of the k would hold
    a better one. So a scan for maxima and two top-k of few columns take the place of one of many.

    Args:
        scores: float32 `[B, n]`, n known when traced, no NaN.
        k: At most n.

    Returns:
        The values, float32 `[B, k]`, and their columns, int64 `[B, k]`; of equal values the lower column first.
    """
    columns = scores.shape[1]
    chunks = -(-columns // _CHUNK)
    if chunks <= k:
        best, index = tf.math.top_k(scores, k)
        return best, tf.cast(index, tf.int64)
    padded = tf.pad(scores, [[0, 0], [0, chunks * _CHUNK - columns]], constant_values=-np.inf)
    by_chunk = tf.reshape(padded, [-1, chunks, _CHUNK])
    _, chosen = tf.math.top_k(tf.reduce_max(by_chunk, axis=2), k)
    # In the order of the columns, so that of equal values the lower column is the first again.
    chosen = tf.sort(tf.cast(chosen, tf.int64), axis=1)
    left = tf.reshape(tf.gather(by_chunk, chosen, batch_dims=1), [-1, k * _CHUNK])
    best, index = tf.math.top_k(left, k)
    index = tf.cast(index, tf.int64)
    return best, tf.gather(chosen, index // _CHUNK, batch_dims=1) * _CHUNK + index % _CHUNK


def _without_self(found: np.ndarray, users: np.ndarray) -> np.ndarray:
    """Moves each user's own code to the end of its row, as -1; the order of the others stays."""
    own = found == users[:, None]
    order = np.argsort(own, axis=1, kind="stable")
    return np.take_along_axis(np.where(own, -1, found), order, axis=1)
