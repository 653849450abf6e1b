"""GMF: generalised matrix factorisation (He et al., Neural Collaborative Filtering, WWW'17)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfadt.models.recommender import Recommender
from tfadt.search_space import Choices, SearchSpace


@keras.saving.register_keras_serializable("tfadt")
class GMF(Recommender):
    """`logit = h . (p_u * q_i) + b`, with h and b learned.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        embedding_dim: Length d of the user and item vectors.
        **kwargs: As in `Recommender`.
    """

    affine_scores: ClassVar[bool] = True
    search_space: ClassVar[SearchSpace] = {"embedding_dim": Choices(16, 32, 64, 128)}

    def __init__(self, num_users: int, num_items: int, embedding_dim: int = 32, **kwargs: Any):
        super().__init__(num_users, num_items, **kwargs)
        self.embedding_dim = int(embedding_dim)
        self.user_table = self.add_table("user", num_users, embedding_dim)
        self.item_table = self.add_table("item", num_items, embedding_dim)
        self.output_kernel, self.output_bias = self.add_output(embedding_dim)
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the logits of the pairs."""
        del training
        users, items = inputs
        product = self.lookup(self.user_table, users) * self.lookup(self.item_table, items)
        return self.project(product, self.output_kernel, self.output_bias)

    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns p_u."""
        return tf.gather(self.user_table.value, users)

    def score_vectors(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the logits of all items: h folded into the user vectors, one matrix product."""
        folded = vectors * self.output_kernel[:, 0]
        return tf.matmul(folded, self.item_table.value, transpose_b=True) + self.output_bias

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "embedding_dim": self.embedding_dim}
