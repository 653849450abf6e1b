"""NeuMF: a GMF part and an MLP part under one output layer, trained end to end (He et al., WWW'17)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfadt.models.recommender import Recommender
from tfadt.optimizers.steps import take_rows
from tfadt.search_space import Choices, SearchSpace

_TILE = 4096  # items: 2 MB of activations at d = 32


@keras.saving.register_keras_serializable("tfadt")
class NeuMF(Recommender):
    """NeuMF-end, without pre-training.

    The MLP part has user and item vectors of 4d, concatenated user first, and ReLU layers 8d -> 4d -> 2d -> d; the output
    layer reads [GMF d, MLP d]. A user's (an item's) two vectors lie side by side in one table row of 5d, GMF first: one
    gather instead of two, the same numbers.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        embedding_dim: d.
        item_bias: Whether each item has a bias that is added to its logit, and which the penalty on rows leaves alone.
        init_stddev: Standard deviation of the initial vectors.
        init_bias: How item biases begin: `"zeros"`, or `"popularity"`, the log of the item's clicks.
        **kwargs: As in `Recommender`.
    """

    pairs_a_row: ClassVar[int] = 30  # two cores: 6.6 us a row, .21 us a pair
    search_space: ClassVar[SearchSpace] = {"embedding_dim": Choices(8, 16, 32, 64)}

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        item_bias: bool = False,
        init_stddev: float = 0.01,
        init_bias: str = "zeros",
        **kwargs: Any,
    ):
        super().__init__(num_users, num_items, **kwargs)
        self.embedding_dim = d = int(embedding_dim)
        self.init_stddev = float(init_stddev)
        self.init_bias = init_bias
        self.user_table = self.add_table("user", num_users, 5 * d, self.normal(init_stddev))
        self.item_table = self.add_table("item", num_items, 5 * d, self.normal(init_stddev))
        self.bias_table = self.add_item_bias(init=init_bias) if item_bias else None
        self.mlp_kernels, self.mlp_biases = [], []
        for n, (fan_in, fan_out) in enumerate([(8 * d, 4 * d), (4 * d, 2 * d), (2 * d, d)]):
            glorot = keras.initializers.GlorotUniform(seed=self.initializer_seed())
            self.mlp_kernels.append(self.add_weight(name=f"mlp{n}_kernel", shape=(fan_in, fan_out), initializer=glorot))
            self.mlp_biases.append(self.add_weight(name=f"mlp{n}_bias", shape=(fan_out,), initializer="zeros"))
        self.output_kernel, self.output_bias = self.add_output(2 * d)
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the logits of the pairs."""
        del training
        users, items = inputs
        # The first layer is linear in [p_u, q_i], so it splits into a user and an item part: one product a distinct row.
        user_kernel, item_kernel = tf.split(tf.cast(self.mlp_kernels[0], self.compute_dtype), 2)
        bias = tf.cast(self.mlp_biases[0], self.compute_dtype)
        user_gmf, user_part = self._parts(self.user_table, users, user_kernel, bias)
        item_gmf, item_part = self._parts(self.item_table, items, item_kernel)
        hidden = tf.nn.relu(user_part + item_part)
        for kernel, bias in zip(self.mlp_kernels[1:], self.mlp_biases[1:], strict=True):
            hidden = self._layer(hidden, kernel, bias)
        merged = tf.concat([user_gmf * item_gmf, hidden], axis=1)
        logits = self.project(merged, self.output_kernel, self.output_bias)
        return logits if self.bias_table is None else logits + tf.cast(self.lookup(self.bias_table, items)[:, 0], tf.float32)

    def _parts(
        self, table: keras.Variable, ids: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the GMF vectors `[n, d]` of users or items, and what they add to the first layer `[n, 4d]`."""
        d = self.embedding_dim
        rows, index = self.lookup_distinct(table, ids)
        # tf.split, not slices: the gradient of a slice is a whole row of zeros to be added up.
        gmf, mlp = tf.split(rows, [d, 4 * d], axis=1)
        part = tf.matmul(mlp, kernel)
        return take_rows(gmf, index), take_rows(part if bias is None else tf.nn.bias_add(part, bias), index)

    @staticmethod
    def _layer(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        # Not `+`: TensorFlow makes one kernel of product, bias_add and ReLU. Transposed twice, the kernel has the gradient
        # (upstream^T . inputs)^T, which takes three quarters of the time of inputs^T . upstream.
        return tf.nn.relu(tf.nn.bias_add(tf.matmul(inputs, tf.transpose(kernel), transpose_b=True), bias))

    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the GMF and the MLP vector of each user, concatenated."""
        return tf.gather(self.user_table.value, users)

    def score_vectors(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the logits of all items.

        The first layer is linear in [p_u, q_i], so it splits into a user and an item part, each computed once; the rest
        runs for one user and some items at a time, so that their activations stay in cache.
        """
        d = self.embedding_dim
        item = self.item_table.value
        first = self.mlp_kernels[0]
        from_user = tf.matmul(vectors[:, d:], first[: 4 * d]) + self.mlp_biases[0]
        from_item = tf.matmul(item[:, d:], first[4 * d :])
        gmf = tf.matmul(vectors[:, :d] * self.output_kernel[:d, 0], item[:, :d], transpose_b=True)

        def mlp(one_user: tf.Tensor) -> tf.Tensor:
            parts = []
            for begin in range(0, self.num_items, _TILE):
                hidden = tf.nn.relu(from_item[begin : begin + _TILE] + one_user)
                for kernel, bias in zip(self.mlp_kernels[1:], self.mlp_biases[1:], strict=True):
                    hidden = self._layer(hidden, kernel, bias)
                parts.append(tf.linalg.matvec(hidden, self.output_kernel[d:, 0]))
            return tf.concat(parts, axis=0)

        logits = gmf + tf.map_fn(mlp, from_user, parallel_iterations=2) + self.output_bias
        return logits if self.bias_table is None else logits + self.bias_table.value[:, 0]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "item_bias": self.bias_table is not None,
            "init_stddev": self.init_stddev,
            "init_bias": self.init_bias,
        }
