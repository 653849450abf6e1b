"""EASE: a linear autoencoder over a user's items, solved in closed form (Steck, WWW'19)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from tfadt.errors import ConfigError
from tfadt.memory import require_memory
from tfadt.models.closed_form import ClosedForm
from tfadt.sampling.ragged import expand
from tfadt.search_space import Range, SearchSpace

_SOLVING_BYTES = 36  # a cell: the sparse product 12, the Gram matrix, its inverse and LAPACK's work 8 each
_FLOAT_BYTES = 4
_BLOCK_CELLS = 1 << 20


@keras.saving.register_keras_serializable("tfadt")
class EASE(ClosedForm):
    """`scores of u = x_u B`, with B the minimiser of `|X - X B|^2 + lambda |B|^2` whose diagonal is zero.

    `P = (X^T X + lambda I)^-1` and `B_ij = -P_ij / P_jj` off the diagonal (the paper's eq. 8). The entries of X are the
    weights of the interactions, and x_u is the row of X that belongs to u's training history.

    Memory is what limits it: items x items cells, 36 bytes each while solving and 4 bytes each afterwards.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        lambda_: The penalty, above 0; None to choose it on validation.
        **kwargs: As in `Recommender`.

    Raises:
        ConfigError: If `lambda_` is not above 0.
        OutOfMemoryError: If items x items cells do not fit into memory.
    """

    affine_scores: ClassVar[bool] = True
    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "lambda_": (100.0, 200.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
    }
    search_space: ClassVar[SearchSpace] = {"lambda_": Range(10.0, 32000.0, log=True)}

    def __init__(self, num_users: int, num_items: int, lambda_: float | None = None, **kwargs: Any):
        super().__init__(num_users, num_items, **kwargs)
        if lambda_ is not None and not lambda_ > 0:
            raise ConfigError(f"lambda_ must be above 0. Received: {lambda_}.")
        self.lambda_ = None if lambda_ is None else float(lambda_)
        self._require(_FLOAT_BYTES)
        self.history_weights = self.add_state("history_weights", (self.history_size,), "ones")
        self.item_weights = self.add_state("item_weights", (num_items, num_items))
        self.built = True

    def solve(self, weights: sp.csr_matrix, **settings: float) -> None:
        """Inverts the Gram matrix, in float64."""
        self._require(_SOLVING_BYTES)
        matrix = weights.astype(np.float64)
        gram = (matrix.T @ matrix).toarray()
        diagonal = np.diag_indices(self.num_items)
        gram[diagonal] += settings["lambda_"]
        inverse = np.linalg.inv(gram)
        inverse /= -np.diag(inverse)
        inverse[diagonal] = 0.0
        self.item_weights.assign(inverse)
        owner = np.repeat(np.arange(self.num_users), np.diff(self.history_offsets.numpy()))
        self.history_weights.assign(np.asarray(weights[owner, self.history_items.numpy()]).ravel())

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the scores of the pairs: the sum of B_ji over the user's items j, each by its weight."""
        del training
        users, items = inputs
        starts, ends = (tf.gather(self.history_offsets.value, users + offset) for offset in (0, 1))
        longest = tf.maximum(tf.reduce_max(tf.concat([ends - starts, [1]], 0)), 1)
        block = tf.maximum(_BLOCK_CELLS // longest, 1)  # pairs at a time, so that long histories do not fill the memory
        pairs = tf.size(users, tf.int64)
        blocks = tf.cast(tf.maximum((pairs + block - 1) // block, 1), tf.int32)

        def body(n: tf.Tensor, scores: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            first = tf.cast(n, tf.int64) * block
            rows = slice(first, first + block)
            owner, position = expand(starts[rows], (ends - starts)[rows])
            cells = tf.stack([tf.gather(self.history_items.value, position), tf.gather(items[rows], owner)], axis=1)
            terms = tf.gather_nd(self.item_weights.value, cells) * tf.gather(self.history_weights.value, position)
            return n + 1, scores.write(n, tf.math.unsorted_segment_sum(terms, owner, tf.size(items[rows], tf.int64)))

        found = tf.TensorArray(tf.float32, blocks, infer_shape=False, element_shape=[None])
        _, found = tf.while_loop(lambda n, _: n < blocks, body, [0, found], parallel_iterations=1)
        return tf.ensure_shape(found.concat(), [None])

    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns x_u, `[B, num_items]`."""
        starts = tf.gather(self.history_offsets.value, users)
        owner, position = expand(starts, tf.gather(self.history_offsets.value, users + 1) - starts)
        cells = tf.stack([owner, tf.gather(self.history_items.value, position)], axis=1)
        return self._rows(cells, tf.gather(self.history_weights.value, position), tf.size(users, tf.int64))

    def score_vectors(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns x B, one matrix product."""
        return tf.matmul(vectors, self.item_weights.value)

    def score_histories(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the scores of all items for users known by their items alone, each of weight 1.

        Args:
            items: int64 `[B, H]`, distinct in each row, padded with -1.

        Returns:
            float32 `[B, num_items]`.
        """
        where = tf.where(items >= 0)
        cells = tf.stack([where[:, 0], tf.gather_nd(items, where)], axis=1)
        return self.score_vectors(self._rows(cells, tf.ones([tf.shape(cells)[0]]), tf.shape(items, tf.int64)[0]))

    def user_space(self) -> np.ndarray:
        """Returns x_u of all users, float32 `[num_users, num_items]`.

        Raises:
            OutOfMemoryError: If users x items cells do not fit into memory.
        """
        what = f"The space of EASE's users ({self.num_users:,} x {self.num_items:,} float32)"
        require_memory(what, 2 * _FLOAT_BYTES * self.num_users * self.num_items, "the number of users or items")
        return super().user_space()

    def item_vectors(self) -> tf.Tensor:
        """Returns the rows of B: what a click on an item adds to the score of each."""
        return tf.convert_to_tensor(self.item_weights.value)

    def _rows(self, cells: tf.Tensor, values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        return tf.scatter_nd(cells, values, tf.stack([rows, tf.constant(self.num_items, tf.int64)]))

    def _require(self, cell_bytes: int) -> None:
        require_memory(
            f"EASE's items x items matrix ({self.num_items:,} x {self.num_items:,}, {cell_bytes} bytes a cell)",
            cell_bytes * self.num_items**2,
            "the number of items (the model ials needs no such matrix)",
        )
