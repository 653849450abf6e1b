"""Colliding inference: a user's prediction mixed with those of similar users (the paper's eq. 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import tensorflow as tf

from tfadt.errors import ConfigError, DataError
from tfadt.models.recommender import Recommender

Mix = Literal["probabilities", "logits"]

_PIECE_BYTES = 4 << 20  # Scores of neighbours at a time: they stay in cache,
_ALL_BYTES = 64 << 20  # unless those of all neighbours there are take no more than this: then each is scored once.
_ALL_ROWS = 1 << 31
_FLOAT_BYTES = 4
_PARALLEL_PIECES = 2


def check_lambda(lambda_: float) -> float:
    """Returns `lambda_` as a float.

    Raises:
        ConfigError: If it is no number in [0, 1].
    """
    if isinstance(lambda_, bool) or not isinstance(lambda_, int | float | np.number) or not 0 <= lambda_ <= 1:
        raise ConfigError(f"lambda must lie in [0, 1]. Received: {lambda_!r}.")
    return float(lambda_)


class CollidingScorer(tf.Module):
    """Scores items for a user by `lambda * own prediction + (1 - lambda) * mean of the neighbours' predictions`.

    It ranks, evaluates and exports as a model does. A user without neighbours keeps the model's scores bit for bit, and so
    does every user where lambda is 1. With `"probabilities"` these are logits beside probabilities of the mixed users: each
    user's ranking is on one scale, but scores of different users are not to be compared.

    Args:
        model: A trained model; its present weights are read at each call.
        neighbors: int64 `[num_users, N]`, user codes; -1 for none. A user's neighbours weigh the same, 1 / their number.
        lambda_: Weight of the user's own prediction, in [0, 1].
        mix: What is mixed: `"probabilities"` (the sigmoid of the logits), or `"logits"`, which for models whose scores are
            affine in the user's vector is one mixture of vectors.

    Raises:
        ConfigError: If `lambda_` or `mix` is out of range.
        DataError: If `neighbors` does not fit the model, or a user is its own neighbour.
    """

    def __init__(self, model: Recommender, neighbors: np.ndarray, lambda_: float, mix: Mix = "probabilities"):
        super().__init__(name="colliding")
        if mix not in ("probabilities", "logits"):
            raise ConfigError(f"What is mixed must be 'probabilities' or 'logits'. Received: {mix!r}.")
        _check_neighbors(neighbors, model.num_users)
        self.model = model
        self.num_users = model.num_users
        self.num_items = model.num_items
        self.lambda_ = check_lambda(lambda_)
        self.mix: Mix = mix
        # A variable, not a constant: a constant is copied into the graph, which stops at 2 GB.
        self.neighbors = tf.Variable(neighbors, trainable=False, dtype=tf.int64, name="neighbors")
        distinct = len(np.unique(neighbors[neighbors >= 0]))
        self._rows_a_piece = rows_a_piece(distinct, model.num_items, neighbors.shape[1])

    def score_users(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the scores of all items for the users int64 `[B]`: float32 `[B, num_items]`."""
        if self.lambda_ == 1.0:
            return self.model.score_users(users)
        neighbors = tf.gather(self.neighbors, users)
        if self.mix == "logits" and self.model.affine_scores:
            return self.model.score_vectors(self._mixed_vectors(users, neighbors))
        own = self.model.score_users(users)
        rows = tf.where(tf.reduce_any(neighbors >= 0, axis=1))[:, 0]

        def mixed() -> tf.Tensor:
            own_part = predict(tf.gather(own, rows), self.mix)
            mean = _in_pieces(self._neighbor_mean, tf.gather(neighbors, rows), self._rows_a_piece, self.num_items)
            scores = self.lambda_ * own_part + (1.0 - self.lambda_) * mean
            return tf.tensor_scatter_nd_update(own, rows[:, None], scores)

        return tf.cond(tf.size(rows) > 0, mixed, lambda: own)

    def _mixed_vectors(self, users: tf.Tensor, neighbors: tf.Tensor) -> tf.Tensor:
        """Returns the vector whose logits are the mixture of the logits, float32 `[B, d]`."""
        own = self.model.user_representation(users)
        width = own.shape[1]
        size = max(1, _ALL_BYTES // (_FLOAT_BYTES * width * neighbors.shape[1]))
        mean = _in_pieces(self._vector_mean, neighbors, size, width)
        mixed = self.lambda_ * own + (1.0 - self.lambda_) * mean
        return tf.where(tf.reduce_any(neighbors >= 0, axis=1, keepdims=True), mixed, own)

    def _vector_mean(self, neighbors: tf.Tensor) -> tf.Tensor:
        """Returns the mean vector of each row's neighbours, `[R, d]`."""
        distinct, index, rows = _distinct(neighbors)
        # Not as in `_neighbor_mean`: Grappler joins lookup and mean into one operation that copies the whole table of users.
        vectors = tf.gather(self.model.user_representation(distinct), index)
        return tf.math.unsorted_segment_mean(vectors, rows, tf.size(neighbors[:, 0], tf.int64))

    def _neighbor_mean(self, neighbors: tf.Tensor) -> tf.Tensor:
        """Returns the mean prediction of each row's neighbours, `[R, num_items]`."""
        distinct, index, rows = _distinct(neighbors)
        predictions = predict(self.model.score_users(distinct), self.mix)
        # Gathers and adds in one: `[R, N, num_items]` never exists.
        return tf.sparse.segment_mean(predictions, index, rows, num_segments=tf.size(neighbors[:, 0], tf.int64))


def predict(logits: tf.Tensor, mix: Mix) -> tf.Tensor:
    """Returns what is mixed: the probabilities of the logits, or the logits themselves."""
    return tf.sigmoid(logits) if mix == "probabilities" else logits


def rows_a_piece(num_distinct: int, num_items: int, num_neighbors: int) -> int:
    """Returns for how many users the scores of their neighbours are held at a time, which bounds the memory.

    Those of a piece fill 4 MB, of one user at least; where the scores of all users who are anybody's neighbour fit into
    64 MB, a piece is as large as one likes, for each of them is scored once in it.

    Args:
        num_distinct: Number of users who are a neighbour.
        num_items: Number of items.
        num_neighbors: |N|.
    """
    if num_distinct * num_items * _FLOAT_BYTES <= _ALL_BYTES:
        return _ALL_ROWS
    return max(1, _PIECE_BYTES // (_FLOAT_BYTES * num_items * num_neighbors))


def _distinct(neighbors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the distinct neighbours, and for each that is present in `[R, N]` which of these it is, and its row."""
    present = neighbors >= 0
    distinct, index = tf.unique(tf.boolean_mask(neighbors, present), out_idx=tf.int64)
    return distinct, index, tf.where(present)[:, 0]


def _in_pieces(mean: Callable[[tf.Tensor], tf.Tensor], neighbors: tf.Tensor, size: int, width: int) -> tf.Tensor:
    """Returns `mean(neighbors)`, float32 `[R, width]`, worked out for `size` rows of int64 `[R, N]` at a time."""
    pieces = -(-tf.size(neighbors[:, 0], tf.int64) // size)
    means = tf.TensorArray(tf.float32, tf.cast(pieces, tf.int32), infer_shape=False, element_shape=[None, width])

    def piece(k: tf.Tensor, means: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        return k + 1, means.write(tf.cast(k, tf.int32), mean(neighbors[k * size : (k + 1) * size]))

    start = (tf.zeros([], tf.int64), means)
    _, means = tf.while_loop(lambda k, _: k < pieces, piece, start, parallel_iterations=_PARALLEL_PIECES)
    return means.concat()


def _check_neighbors(neighbors: np.ndarray, num_users: int) -> None:
    if neighbors.ndim != 2 or len(neighbors) != num_users or neighbors.dtype.kind not in "iu":
        raise DataError(
            f"The neighbours must be a table of integers with a row for each of the {num_users} users. "
            f"Received: {neighbors.dtype} of shape {neighbors.shape}."
        )
    if neighbors.size and not (neighbors.min() >= -1 and neighbors.max() < num_users):
        raise DataError(
            f"The neighbours must be user codes 0 .. {num_users - 1}, or -1 for none. "
            f"Received: {neighbors.min()} .. {neighbors.max()}."
        )
    own = np.flatnonzero((neighbors == np.arange(num_users)[:, None]).any(axis=1))
    if len(own):
        raise DataError(f"A user cannot be its own neighbour. Received: user code {own[0]} among its neighbours.")
