"""NMTR: clicks and satisfaction as two tasks of one model, the second on top of the first (Gao et al., ICDE'19)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfadt.errors import ConfigError
from tfadt.models.recommender import Recommender
from tfadt.sampling.batches import Batch
from tfadt.search_space import Choices, SearchSpace


@keras.saving.register_keras_serializable("tfadt")
class NMTR(Recommender):
    """Two cascaded heads over the same user and item vectors; it ranks by the second.

    `click = h1 . (p_u * q_i) + b1`, `satisfaction = h2 . (p_u * q_i) + b2 + click`, and the loss of a row is
    `click_weight * loss(click) + (1 - click_weight) * loss(satisfaction)`. Positives of the second task are the clicks that
    are known to be liked, its negatives the sampled items; of any other click it says nothing, for nobody knows whether it
    was liked. It is the baseline of the paper's Table 4 that uses extra feedback by multi-task learning.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        embedding_dim: Length d of the user and item vectors.
        click_weight: Share of the click task in the loss, in [0, 1].
        **kwargs: As in `Recommender`.

    Raises:
        ConfigError: If `click_weight` is out of range.
    """

    affine_scores: ClassVar[bool] = True
    needs_extra_feedback: ClassVar[bool] = True
    search_space: ClassVar[SearchSpace] = {
        "embedding_dim": Choices(16, 32, 64, 128),
        "click_weight": Choices(0.1, 0.3, 0.5, 0.7, 0.9),
    }

    def __init__(self, num_users: int, num_items: int, embedding_dim: int = 32, click_weight: float = 0.5, **kwargs: Any):
        super().__init__(num_users, num_items, **kwargs)
        if not 0 <= click_weight <= 1:
            raise ConfigError(f"click_weight must lie in [0, 1]. Received: {click_weight}.")
        self.embedding_dim = int(embedding_dim)
        self.click_weight = float(click_weight)
        self.user_table = self.add_table("user", num_users, embedding_dim)
        self.item_table = self.add_table("item", num_items, embedding_dim)
        self.click_kernel, self.click_bias = self.add_output(embedding_dim, "click")
        self.satisfaction_kernel, self.satisfaction_bias = self.add_output(embedding_dim, "satisfaction")
        self.built = True

    def heads(self, users: tf.Tensor, items: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the click and the satisfaction logits of the pairs, float32 `[B]` each."""
        product = self.lookup(self.user_table, users) * self.lookup(self.item_table, items)
        click = self.project(product, self.click_kernel, self.click_bias)
        return click, click + self.project(product, self.satisfaction_kernel, self.satisfaction_bias)

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the satisfaction logits of the pairs."""
        del training
        return self.heads(*inputs)[1]

    def row_loss(self, batch: Batch, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the satisfaction logit of each row and both tasks' losses combined.

        Where nothing is known at all (in validation), every click counts as liked.
        """
        del training
        click, satisfaction = (batch.per_row(head) for head in self.heads(*batch.pairs))
        known = batch.labels if batch.known_positive is None else batch.known_positive
        # For a pair (BPR) the label is 1 and the sampled item stands beside the click.
        in_second = tf.maximum(known, 1.0 - batch.labels)
        first, second = (self._objective.loss(batch.labels, head) for head in (click, satisfaction))
        return satisfaction, self.click_weight * first + (1.0 - self.click_weight) * in_second * second

    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns p_u."""
        return tf.gather(self.user_table.value, users)

    def score_vectors(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the satisfaction logits of all items: both h folded into the user vectors, one matrix product."""
        folded = vectors * (self.click_kernel + self.satisfaction_kernel)[:, 0]
        bias = self.click_bias + self.satisfaction_bias
        return tf.matmul(folded, self.item_table.value, transpose_b=True) + bias

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "embedding_dim": self.embedding_dim, "click_weight": self.click_weight}
