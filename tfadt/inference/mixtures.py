"""Ranks users under every lambda and |N| of a grid at once, no score computed twice, and chooses the best of the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import CSR, Interactions
from tfadt.evaluation.metrics import ranking_metrics
from tfadt.inference.colliding import Mix, predict, rows_a_piece
from tfadt.models.recommender import Recommender
from tfadt.sampling.ragged import expand

_BLOCK_BYTES = 8 << 20
_FLOAT_BYTES = 4


def mixture_recall(
    model: Recommender,
    neighbors: np.ndarray,
    split: Interactions,
    exclude: CSR,
    sizes: Sequence[int],
    lambdas: Sequence[float],
    k: int,
    mix: Mix = "probabilities",
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the recall@k of each user of a split under each mixture of the grid (the paper's eq. 8).

    The scores of a user and of its neighbours are computed once: the neighbours come nearest first, so the mean of the first
    |N| grows from one size to the next, and a lambda is a weighted sum of two arrays that are there already.

    Args:
        model: The trained model.
        neighbors: int64 `[num_users, max(sizes)]`, nearest first, -1 for none.
        split: The relevant pairs, such as validation; each counts by its `relevance` where the split has that.
        exclude: Items that are left out of each user's ranking.
        sizes: Numbers of neighbours |N|, ascending.
        lambdas: Weights of a user's own predictions.
        k: Cut-off.
        mix: What is mixed.

    Returns:
        The users of the split that have neighbours, int64 `[U]`, ascending, and float64 `[U, len(sizes), len(lambdas)]`.
    """
    users = np.unique(split.user[np.isin(split.user, np.flatnonzero((neighbors >= 0).any(axis=1)))])
    recall = np.zeros((len(users), len(sizes), len(lambdas)))
    if not len(users):
        return users, recall
    place = np.full(model.num_users, -1, np.int64)
    place[users] = np.arange(len(users))
    ours = place[split.user] >= 0
    relevant = CSR.from_pairs(place[split.user[ours]], split.item[ours], len(users), model.num_items)
    grades = split.take(ours).grades(model.num_items)  # of the same order: places ascend as users do
    rank_block = _make_ranker(model, neighbors, exclude, sizes, lambdas, min(k, model.num_items), mix)
    near = neighbors[users]
    piece = rows_a_piece(len(np.unique(near[near >= 0])), model.num_items, max(sizes))
    step = max(1, min(piece, _BLOCK_BYTES // (_FLOAT_BYTES * model.num_items)))
    for first in range(0, len(users), step):
        rows = slice(first, first + step)
        tops = rank_block(tf.constant(users[rows], tf.int64)).numpy()
        offsets = relevant.offsets[rows.start : rows.start + tops.shape[2] + 1]
        pairs = slice(offsets[0], offsets[-1])
        block, own = CSR(offsets - offsets[0], relevant.items[pairs]), None if grades is None else grades[pairs]
        for s in range(len(sizes)):
            for n in range(len(lambdas)):
                recall[rows, s, n] = ranking_metrics(tops[s, n], block, model.num_items, (k,), own)[f"recall@{k}"]
    return users, recall


def _make_ranker(
    model: Recommender,
    neighbors: np.ndarray,
    exclude: CSR,
    sizes: Sequence[int],
    lambdas: Sequence[float],
    k: int,
    mix: Mix,
) -> tf.types.experimental.ConcreteFunction:
    """Returns users int64 `[B]` -> their best items under each mixture, int64 `[sizes, lambdas, B, k]`, -1 for none left."""
    table = tf.Variable(neighbors, trainable=False, dtype=tf.int64)
    offsets, items = (tf.Variable(column, trainable=False, dtype=tf.int64) for column in (exclude.offsets, exclude.items))

    def best(scores: tf.Tensor, masked: tf.Tensor) -> tf.Tensor:
        values, codes = tf.math.top_k(scores + masked, k)
        return tf.where(tf.equal(values, -np.inf), tf.constant(-1, tf.int64), tf.cast(codes, tf.int64))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)], autograph=False)
    def rank_block(users: tf.Tensor) -> tf.Tensor:
        logits = model.score_users(users)
        own = predict(logits, mix)
        starts = tf.gather(offsets, users)
        row, position = expand(starts, tf.gather(offsets, users + 1) - starts)
        cells = tf.stack([row, tf.gather(items, position)], axis=1)
        masked = tf.tensor_scatter_nd_update(tf.zeros_like(logits), cells, tf.fill(tf.shape(row), -np.inf))
        near = tf.gather(table, users)
        where = tf.where(near >= 0)
        distinct, index = tf.unique(tf.boolean_mask(near, near >= 0), out_idx=tf.int64)
        predictions = predict(model.score_users(distinct), mix)
        plain = best(logits, masked)
        total, ranked, before = tf.zeros_like(logits), [], 0
        for size in sizes:
            new = (where[:, 1] >= before) & (where[:, 1] < size)
            total += tf.sparse.segment_sum(
                predictions, tf.boolean_mask(index, new), tf.boolean_mask(where[:, 0], new), num_segments=tf.size(users)
            )
            count = tf.math.count_nonzero(near[:, :size] >= 0, axis=1, dtype=tf.float32)[:, None]
            mean, before = tf.math.divide_no_nan(total, count), size
            ranked.append([plain if n == 1 else best(n * own + (1 - n) * mean, masked) for n in lambdas])
        return tf.stack([tf.stack(line) for line in ranked])

    return rank_block.get_concrete_function()


@dataclass(frozen=True)
class Choice:
    """The best mixture of a grid on validation.

    Attributes:
        lambda_: Weight of a user's own predictions; 1, the plain ranking, where nothing is better.
        num_neighbors: |N|.
        recall: Mean recall of the mixture, None where there is no user to measure.
        plain: Mean recall of the plain ranking.
        users: Number of users it was measured on.
        curve: Mean recall of each |N| (rows) and lambda (columns) of the grid.
    """

    lambda_: float
    num_neighbors: int
    recall: float | None
    plain: float | None
    users: int
    curve: list[list[float]]


def choose(recall: np.ndarray, sizes: Sequence[int], lambdas: Sequence[float]) -> Choice:
    """Returns the mixture with the largest mean recall; of equally good ones that with more of the user's own predictions.

    Args:
        recall: float `[U, len(sizes), len(lambdas)]`, of each user.
        sizes: Numbers of neighbours, ascending.
        lambdas: Weights of the own predictions, the last one 1.
    """
    if not len(recall):
        return Choice(lambdas[-1], sizes[0], None, None, 0, [])
    means = recall.mean(axis=0)
    grid = [(means[s, n], lambdas[n], -sizes[s]) for s in range(len(sizes)) for n in range(len(lambdas))]
    best, lambda_, size = max(grid)
    return Choice(lambda_, -size, float(best), float(means[0, -1]), len(recall), means.tolist())
