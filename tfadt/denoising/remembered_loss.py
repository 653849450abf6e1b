"""The base of policies that weigh an interaction by the losses of the last epoch, its own and those of others."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import DenoisingPolicy, Rows, num_rows
from tfadt.errors import ConfigError
from tfadt.memory import require_memory


class RememberedLoss(DenoisingPolicy):
    """Remembers the latest loss of each training interaction, and makes weights of them when an epoch ends.

    A subclass says how. Before the first epoch that is to have weights every row weighs 1; so do negatives, and rows that
    are no training interactions (those of validation). The sum is divided by B.

    Args:
        first_epoch: The first epoch (from 0) that has weights: those before it let losses grow apart.

    Raises:
        ConfigError: If `first_epoch` is below 1: without an epoch behind it there is no loss to go by.
    """

    remembers_interactions: ClassVar[bool] = True

    def __init__(self, first_epoch: int):
        if isinstance(first_epoch, bool) or not isinstance(first_epoch, int) or first_epoch < 1:
            raise ConfigError(f"first_epoch must be at least 1. Received: {first_epoch!r}.")
        self.first_epoch = first_epoch

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:
        """Makes the loss and the weight of each interaction, two float32 numbers on the device."""
        del num_users, num_items
        n = len(rows)
        require_memory(f"{type(self).__name__}'s loss and weight of each of {n:,} interactions", 8 * n, "their number")
        self.loss = tf.Variable(tf.zeros(n), trainable=False, name="loss")
        self.weight = tf.Variable(tf.ones(n), trainable=False, name="weight")

    @property
    def variables(self) -> list[tf.Variable]:
        """The losses and the weights."""
        return [self.loss, self.weight]

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

    def observe(self, rows: Rows, step: tf.Tensor) -> None:
        """Notes the losses of a training batch."""
        del step
        assert rows.interactions is not None  # as the policy remembers_interactions
        scatter(self.loss, rows.interactions, rows.loss)

    def on_epoch_end(self, epoch: int, model: Any) -> None:
        """Makes the weights of the next epoch."""
        del model
        if epoch + 1 >= self.first_epoch:
            self.reweigh(self.loss.numpy())

    @abstractmethod
    def reweigh(self, loss: np.ndarray) -> None:
        """Sets the weights of the next epoch.

        Args:
            loss: float32 `[n]`, the latest loss of each interaction.
        """

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"first_epoch": self.first_epoch}


def scatter(state: tf.Variable, interactions: tf.Tensor, values: tf.Tensor) -> None:
    """Writes `values` float32 `[B]` to the interactions int64 `[B]` of `state` float32 `[n]`; -1 is nowhere.

    Of an interaction that is in a batch more than once, as those of BPR with several negatives can be, the largest value is
    kept: which of several writes comes last is not settled on a device.
    """
    where = tf.where(interactions >= 0)[:, 0]
    distinct, which = tf.unique(tf.gather(interactions, where), out_idx=tf.int64)
    largest = tf.math.unsorted_segment_max(tf.gather(values, where), which, tf.size(distinct, tf.int64))
    state.scatter_nd_update(distinct[:, None], largest)
