"""iALS: implicit matrix factorisation by alternating least squares (Hu et al., ICDM'08; Rendle et al., RecSys'22)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from tfadt.errors import ConfigError
from tfadt.memory import require_memory
from tfadt.models.closed_form import ClosedForm
from tfadt.models.ridge import ridge, ridge_of_few
from tfadt.search_space import Choices, Range, SearchSpace

_BLOCK_FLOATS = 1 << 23  # 32 MB: what a block of rows gathers, and its matrices


@keras.saving.register_keras_serializable("tfadt")
class IALS(ClosedForm):
    """`score = p_u . q_i`, the minimiser of a square loss over all pairs of a user and an item.

    `sum over interactions of w (p_u . q_i - 1)^2 + alpha * sum over all pairs of (p_u . q_i)^2`
    `+ reg * sum over users of (w_u + alpha * num_items) |p_u|^2`, and the same over items, where w is the weight of an
    interaction and w_u the sum of a user's: eqs. 1 to 4 and 7 of Rendle et al. with their exponent nu = 1. All users are
    solved for while the items stand still, then all items, again and again. The systems of a block of rows are built and
    solved at once, on the device; what all rows share is one Gram matrix.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        embedding_dim: Length d of the user and item vectors.
        reg: The penalty, above 0; None to choose it on validation.
        alpha: The weight of a pair that was not observed, above 0; None for `.1 * (interactions a user) ** .25`, which is .3
            at 84 and .12 at 2: the more a user clicks, the more it means not to.
        iterations: Times that users and items are solved for.
        **kwargs: As in `Recommender`.

    Raises:
        ConfigError: If an argument is out of its range.
    """

    affine_scores: ClassVar[bool] = True
    seeded: ClassVar[bool] = True
    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"reg": (0.003, 0.01, 0.02, 0.03, 0.05)}
    search_space: ClassVar[SearchSpace] = {
        "embedding_dim": Choices(32, 64, 128),
        "reg": Range(0.001, 0.3, log=True),
        "alpha": Range(0.03, 1.0, log=True),
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 128,
        reg: float | None = None,
        alpha: float | None = None,
        iterations: int = 8,
        **kwargs: Any,
    ):
        super().__init__(num_users, num_items, **kwargs)
        for name, value in (("reg", reg), ("alpha", alpha)):
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be above 0. Received: {value}.")
        for name, count in (("embedding_dim", embedding_dim), ("iterations", iterations)):
            if count < 1:
                raise ConfigError(f"{name} must be at least 1. Received: {count}.")
        self.embedding_dim = int(embedding_dim)
        self.reg = None if reg is None else float(reg)
        self.alpha = None if alpha is None else float(alpha)
        self.iterations = int(iterations)
        for name, rows in (("user", num_users), ("item", num_items)):
            what = f"The {name} table ({rows:,} x {embedding_dim:,} float32)"
            require_memory(what, 4 * rows * embedding_dim, "model.ials.embedding_dim")
        self.user_table = self.add_state("user_table", (num_users, embedding_dim))
        self.item_table = self.add_state("item_table", (num_items, embedding_dim))
        self.used_alpha = self.add_state("alpha", ())
        self.built = True

    @property
    def used_settings(self) -> dict[str, float]:
        """The penalty and the weight of the pairs without interaction."""
        return {**self.settings, "alpha": float(self.used_alpha.numpy())}

    def solve(self, weights: sp.csr_matrix, **settings: float) -> None:
        """Starts from small random item vectors and alternates."""
        reg = settings["reg"]
        alpha = self.alpha or 0.1 * (weights.nnz / self.num_users) ** 0.25
        self.used_alpha.assign(alpha)
        rng = np.random.default_rng(self.seed)
        self.item_table.assign(rng.normal(0, 0.1 / self.embedding_dim**0.5, self.item_table.shape))
        sides = ((weights, self.user_table, self.item_table), (weights.T.tocsr(), self.item_table, self.user_table))
        for _ in range(self.iterations):
            for rows, solved, fixed in sides:
                solved.assign(self._solve_side(rows, fixed, reg, alpha))

    def _solve_side(self, weights: sp.csr_matrix, fixed: keras.Variable, reg: float, alpha: float) -> np.ndarray:
        """Returns the vectors of all rows, float32 `[rows, d]`; zeros for a row without interactions."""
        solved = np.zeros((weights.shape[0], self.embedding_dim), np.float32)
        table = fixed.value
        gram = alpha * tf.matmul(table, table, transpose_a=True)
        eigenvalues, axes = tf.linalg.eigh(gram)
        rotated = tf.matmul(table, axes)
        penalty = (reg * (np.asarray(weights.sum(axis=1)).ravel() + alpha * weights.shape[1])).astype(np.float32)
        for rows, columns, values in _blocks(weights, self.embedding_dim):
            if columns.shape[1] < self.embedding_dim:
                found = tf.matmul(ridge_of_few(rotated, eigenvalues, columns, values, penalty[rows]), axes, transpose_b=True)
            else:
                found = ridge(table, gram, columns, values, penalty[rows])
            solved[rows] = found.numpy()
        return solved

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the scores of the pairs."""
        del training
        users, items = inputs
        return tf.reduce_sum(tf.gather(self.user_table.value, users) * tf.gather(self.item_table.value, items), axis=1)

    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns p_u."""
        return tf.gather(self.user_table.value, users)

    def score_vectors(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the scores of all items, one matrix product."""
        return tf.matmul(vectors, self.item_table.value, transpose_b=True)

    def score_histories(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the scores of all items for users known by their items alone: p_u is solved for, as in training.

        Args:
            items: int64 `[B, H]`, distinct in each row, padded with -1.

        Returns:
            float32 `[B, num_items]`.
        """
        reg = tf.cast(self._settings.value[0], tf.float32)
        alpha, table = self.used_alpha.value, self.item_table.value
        known = tf.cast(items >= 0, tf.float32)
        penalty = reg * (tf.reduce_sum(known, axis=1) + alpha * float(self.num_items))
        gram = alpha * tf.matmul(table, table, transpose_a=True)
        return self.score_vectors(ridge(table, gram, tf.maximum(items, 0), known, penalty))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = {"embedding_dim": self.embedding_dim, "alpha": self.alpha, "iterations": self.iterations}
        return {**super().get_config(), **config}


def _blocks(weights: sp.csr_matrix, dim: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields the rows that have entries, in blocks of similar length: rows `[B]`, columns and weights `[B, H]`, padded."""
    counts = np.diff(weights.indptr)
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    first = 0
    while first < len(order):
        longest = int(counts[order[first]])
        floats = longest * dim + min(longest, dim) ** 2
        rows = order[first : first + max(1, _BLOCK_FLOATS // floats)]
        place = np.arange(longest)
        filled = place < counts[rows][:, None]
        position = np.minimum(weights.indptr[rows][:, None] + place, weights.nnz - 1)
        yield rows, weights.indices[position].astype(np.int64), np.where(filled, weights.data[position], np.float32(0))
        first += len(rows)
