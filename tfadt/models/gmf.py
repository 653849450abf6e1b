"""GMF: generalised matrix factorisation (He et al., Neural Collaborative Filtering, WWW'17)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfadt.errors import ConfigError
from tfadt.models.recommender import Recommender
from tfadt.models.ridge import LogisticUsers
from tfadt.optimizers.steps import take_rows
from tfadt.search_space import Choices, SearchSpace


@keras.saving.register_keras_serializable("tfadt")
class GMF(Recommender):
    """`logit = h . (p_u * q_i) + b`, with h and b learned; with item biases `+ b_i`.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        embedding_dim: Length d of the user and item vectors.
        item_bias: Whether each item has a bias b_i, which the penalty on rows leaves alone.
        init_stddev: Standard deviation of the initial vectors.
        init_kernel: How h begins: `"uniform"`, or `"ones"`, which is plain matrix factorisation.
        init_bias: How item biases begin: `"zeros"`, or `"popularity"`, the log of the item's clicks; of no account
            without `item_bias`.
        **kwargs: As in `Recommender`.
    """

    affine_scores: ClassVar[bool] = True
    shared_negatives: ClassVar[bool] = True
    search_space: ClassVar[SearchSpace] = {"embedding_dim": Choices(16, 32, 64, 128)}

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        item_bias: bool = False,
        init_stddev: float = 0.01,
        init_kernel: str = "uniform",
        init_bias: str = "zeros",
        **kwargs: Any,
    ):
        super().__init__(num_users, num_items, **kwargs)
        if init_kernel not in ("uniform", "ones"):
            raise ConfigError(f"init_kernel must be 'uniform' or 'ones'. Received: {init_kernel!r}.")
        self.init_kernel = init_kernel
        self.init_bias = init_bias
        self.embedding_dim = int(embedding_dim)
        self.init_stddev = float(init_stddev)
        self.user_table = self.add_table("user", num_users, embedding_dim, self.normal(init_stddev))
        self.item_table = self.add_table("item", num_items, embedding_dim, self.normal(init_stddev))
        self.bias_table = self.add_item_bias(init=init_bias) if item_bias else None
        self.output_kernel, self.output_bias = self.add_output(embedding_dim)
        if init_kernel == "ones":
            self.output_kernel.assign(tf.ones_like(self.output_kernel.value))
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the logits of the pairs."""
        users, items, biases = self.factors(*inputs, training)
        return tf.cast(tf.reduce_sum(users * items, axis=1) + biases, tf.float32)

    def factors(self, users: tf.Tensor, items: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns p_u with h folded in, q_i, and the biases."""
        del training
        rows, index = self.lookup_distinct(self.user_table, users)
        folded = take_rows(rows * tf.cast(self.output_kernel, self.compute_dtype)[:, 0], index)
        biases = tf.fill(tf.shape(items), tf.cast(self.output_bias, self.compute_dtype)[0])
        if self.bias_table is not None:
            biases += self.lookup(self.bias_table, items)[:, 0]
        return folded, self.lookup(self.item_table, items), biases

    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns p_u."""
        return tf.gather(self.user_table.value, users)

    def score_vectors(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the logits of all items: h folded into the user vectors, one matrix product."""
        return self._logits(vectors * self.output_kernel[:, 0])

    def score_histories(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the logits of all items for users known by their items alone: their vectors are solved for.

        `LogisticUsers` has the equations. What it takes from the model's users is of the moment, or of the trace in a graph.

        Args:
            items: int64 `[B, H]`, distinct in each row, padded with -1.

        Returns:
            float32 `[B, num_items]`.
        """
        with tf.init_scope():
            folded = self.user_table.value * self.output_kernel[:, 0]
            users = LogisticUsers.of(folded, self.item_table.value, self._biases(), self.history_items.value)
        return self._logits(users.solve(self.item_table.value, self._biases(), items))

    def _logits(self, folded: tf.Tensor) -> tf.Tensor:
        # Not `+`: TensorFlow makes one kernel of product and bias_add, which saves a pass over all logits.
        return tf.nn.bias_add(tf.matmul(folded, self.item_table.value, transpose_b=True), self._biases())

    def _biases(self) -> tf.Tensor:
        own = tf.zeros(self.num_items) if self.bias_table is None else self.bias_table.value[:, 0]
        return own + self.output_bias

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "item_bias": self.bias_table is not None,
            "init_stddev": self.init_stddev,
            "init_kernel": self.init_kernel,
            "init_bias": self.init_bias,
        }
