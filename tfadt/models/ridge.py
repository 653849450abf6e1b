"""Least-squares problems of a user's size, many at a time on the device: what a user's items say of its vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Self

import numpy as np
import tensorflow as tf

_ROUNDING = 1e-6  # of the mean variance of an axis: the axes along which users do not differ at all


def _traced(solve: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Returns a function that is a graph of its own where nobody else makes one, and else a part of that one.

    A graph of its own forgets the sizes in which the tables of a process differ. An export with it inside would hang on what
    the process did before.
    """
    alone = tf.function(solve, reduce_retracing=True)

    @wraps(solve)
    def either(*args: Any) -> tf.Tensor:
        return solve(*args) if tf.inside_function() else alone(*args)

    return either


@_traced
def ridge(
    table: tf.Tensor,
    gram: tf.Tensor,
    columns: tf.Tensor,
    weights: tf.Tensor,
    penalty: tf.Tensor,
    right: tf.Tensor | None = None,
) -> tf.Tensor:
    """Solves `(gram + sum of w q q^T + penalty I) p = right` for each row, d equations each.

    Args:
        table: float32 `[m, d]`, the vectors q that stand still.
        gram: float32 `[d, d]`, or `[B, d, d]` where each row has its own.
        columns: int64 `[B, H]`, the entries of each row.
        weights: float32 `[B, H]`, their weights; 0 where a row is padded.
        penalty: float32 `[B]`.
        right: float32 `[B, d]`; default the sum of w q, whose solution draws `p . q` of the entries to 1.

    Returns:
        float32 `[B, d]`.
    """
    vectors = tf.gather(table, columns)
    weighted = vectors * weights[:, :, None]
    left = gram + tf.matmul(weighted, vectors, transpose_a=True) + penalty[:, None, None] * tf.eye(tf.shape(table)[1])
    if right is None:
        right = tf.reduce_sum(weighted, axis=1)
    return tf.linalg.cholesky_solve(tf.linalg.cholesky(left), right[:, :, None])[:, :, 0]


@_traced
def ridge_of_few(
    rotated: tf.Tensor, eigenvalues: tf.Tensor, columns: tf.Tensor, weights: tf.Tensor, penalty: tf.Tensor
) -> tf.Tensor:
    """Solves what `ridge` solves with H equations a row: less work for rows of fewer than d entries, which most are.

    Along the axes of the Gram matrix all that the rows do not share is a diagonal D = eigenvalues + penalty, and by the
    matrix inversion lemma `p = D^-1 V^T S (I + S V D^-1 V^T S)^-1 S 1`, where V has the row's vectors and S^2 its weights.

    Args:
        rotated: float32 `[m, d]`, the vectors along those axes.
        eigenvalues: float32 `[d]`.
        columns: int64 `[B, H]`, as in `ridge`.
        weights: float32 `[B, H]`, as in `ridge`.
        penalty: float32 `[B]`, as in `ridge`.

    Returns:
        float32 `[B, d]`, along those axes.
    """
    roots = tf.sqrt(weights)
    vectors = tf.gather(rotated, columns) * roots[:, :, None]
    # Rounding can make the smallest eigenvalues negative.
    divided = vectors / (tf.nn.relu(eigenvalues) + penalty[:, None])[:, None, :]
    left = tf.matmul(vectors, divided, transpose_b=True) + tf.eye(tf.shape(columns)[1])
    dual = tf.linalg.cholesky_solve(tf.linalg.cholesky(left), roots[:, :, None])
    return tf.matmul(divided, dual, transpose_a=True)[:, :, 0]


@dataclass(frozen=True)
class LogisticUsers:
    """The users of a model with logits `w . q_i + b_i`, as far as they tell where a further user lies.

    A user known by its n items H alone is taken to be drawn as the model's own users are, from a normal distribution with
    their mean and covariance, and to have clicked with log-odds equal to the logits, against m items for each click that
    are any items of the catalogue. Its vector is what one step of Newton's method reaches from their mean: the ridge solve

    `(C^-1 + sum over H of h_i q_i q_i^T + n m * mean of h_j q_j q_j^T) (w - mean)`
    `= sum over H of (1 - s_i) q_i - n m * mean of s_j q_j`

    with s the probabilities that the mean user's logits stand for and h = s (1 - s). With m as `of` sets it, a user who
    clicked what all clicked stays at their mean.

    Attributes:
        mean: float32 `[d]`, the mean of the users' vectors w.
        factor: float32 `[d, d]`, A with `A A^T` = C, their covariance.
        negatives: float32 scalar, m.
    """

    mean: tf.Tensor
    factor: tf.Tensor
    negatives: tf.Tensor

    @classmethod
    def of(cls, users: tf.Tensor, items: tf.Tensor, biases: tf.Tensor, clicked: tf.Tensor) -> Self:
        """Measures a model's users.

        Args:
            users: float32 `[num_users, d]`, their vectors w.
            items: float32 `[num_items, d]`, the vectors q.
            biases: float32 `[num_items]`.
            clicked: int64 `[nnz]`, the item of each click; m is 0 where there is none.
        """
        mean = tf.reduce_mean(users, axis=0)
        centred = users - mean
        covariance = (tf.matmul(centred, centred, transpose_a=True) / float(len(users))).numpy().astype(np.float64)
        covariance += _ROUNDING * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        variances, axes = np.linalg.eigh(covariance)
        factor = tf.constant(axes * np.sqrt(np.maximum(variances, 0.0)), tf.float32)
        shares = tf.sigmoid(tf.linalg.matvec(items, mean) + biases)
        missing = 1.0 - tf.gather(shares, clicked)
        missing = tf.math.divide_no_nan(tf.reduce_sum(missing), tf.size(missing, tf.float32))
        return cls(mean, factor, missing / tf.reduce_mean(shares))

    def solve(self, table: tf.Tensor, biases: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of users known by their items alone, float32 `[B, d]`; the mean where there is no item.

        Args:
            table: float32 `[num_items, d]`, the vectors q.
            biases: float32 `[num_items]`.
            items: int64 `[B, H]`, distinct in each row, padded with -1.
        """
        # In units of the users' spread their covariance is the identity, so that the penalty is 1.
        scaled = tf.matmul(table, self.factor)
        shares = tf.sigmoid(tf.linalg.matvec(table, self.mean) + biases)
        curvature = shares * (1.0 - shares)
        columns, known = tf.maximum(items, 0), tf.cast(items >= 0, tf.float32)
        against = self.negatives * tf.reduce_sum(known, axis=1) / float(table.shape[0])
        gram = tf.matmul(scaled * curvature[:, None], scaled, transpose_a=True)
        pull = tf.einsum("bh,bhd->bd", known * tf.gather(1.0 - shares, columns), tf.gather(scaled, columns))
        right = pull - against[:, None] * tf.linalg.matvec(scaled, shares, transpose_a=True)
        weights = known * tf.gather(curvature, columns)
        solved = ridge(scaled, against[:, None, None] * gram, columns, weights, tf.ones_like(against), right)
        return self.mean + tf.matmul(solved, self.factor, transpose_b=True)
