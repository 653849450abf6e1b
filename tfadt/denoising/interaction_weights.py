"""The base of policies that keep a weight for each training interaction and change it when an epoch ends."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import DenoisingPolicy, Rows, num_rows
from tfadt.memory import require_memory


class InteractionWeights(DenoisingPolicy):
    """Weighs a row by its interaction's weight, which is 1 until a subclass sets it in `on_epoch_end`.

    So do negatives weigh 1, and rows that are no training interactions (those of validation). The sum is divided by B.

    Attributes:
        weight: float32 `[n]`, the weight of each interaction.
    """

    remembers_interactions: ClassVar[bool] = True

    bytes_per_interaction: ClassVar[int] = 4
    """What the state of an interaction takes on the device."""

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:
        """Makes the weights.

        Raises:
            OutOfMemoryError: If the state does not fit.
        """
        del num_users, num_items
        n = len(rows)
        what = f"What {type(self).__name__} remembers of each of {n:,} interactions"
        require_memory(what, self.bytes_per_interaction * n, "their number")
        self.weight = tf.Variable(tf.ones(n), trainable=False, name="weight")

    @property
    def variables(self) -> list[tf.Variable]:
        """The weights."""
        return [self.weight]

    def weights(self, rows: Rows, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weight of each row's interaction, and B."""
        del step
        weights = self.weights_of_others(rows)
        if rows.interactions is not None:
            found = tf.gather(self.weight, tf.maximum(rows.interactions, 0))
            weights = tf.where(rows.interactions < 0, weights, found)
        return weights, num_rows(rows.loss)

    def weights_of_others(self, rows: Rows) -> tf.Tensor:
        """Returns what rows weigh that are no training interactions, float32 `[B]`: ones."""
        return tf.ones_like(rows.loss)
