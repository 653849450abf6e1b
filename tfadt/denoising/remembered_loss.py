"""The base of policies that weigh an interaction by the losses of the last epoch, its own and those of others."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import Rows
from tfadt.denoising.interaction_weights import InteractionWeights
from tfadt.errors import ConfigError
from tfadt.sampling.replicas import copies


class RememberedLoss(InteractionWeights):
    """Remembers the latest loss of each training interaction, and makes weights of them when an epoch ends.

    Args:
        first_epoch: The first epoch (from 0) that has weights: those before it let losses grow apart.

    Attributes:
        loss: float32 `[n]`, the latest loss of each interaction.

    Raises:
        ConfigError: If `first_epoch` is below 1: without an epoch behind it there is no loss to go by.
    """

    bytes_per_interaction: ClassVar[int] = 8

    def __init__(self, first_epoch: int):
        if isinstance(first_epoch, bool) or not isinstance(first_epoch, int) or first_epoch < 1:
            raise ConfigError(f"first_epoch must be at least 1. Received: {first_epoch!r}.")
        self.first_epoch = first_epoch

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:
        """Makes the weights and the losses."""
        super().build(rows, num_users, num_items)
        self.loss = tf.Variable(tf.zeros(len(rows)), trainable=False, name="loss")

    @property
    def variables(self) -> list[tf.Variable]:
        """The weights and the losses."""
        return [*super().variables, self.loss]

    def observe(self, rows: Rows, weights: tf.Tensor, step: tf.Tensor) -> None:
        """Notes the losses of a training batch."""
        del weights, step
        interactions, (loss,) = distinct(rows.interactions, rows.loss)
        for copy in copies(self.loss):
            copy.scatter_nd_update(interactions[:, None], loss)

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


def distinct(interactions: tf.Tensor | None, *columns: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Returns each interaction of a batch once, and what it has in the columns.

    Of one that is in the batch more than once, as those of BPR with several negatives can be, the largest value is taken:
    which of several writes comes last is not settled on a device.

    Args:
        interactions: int64 `[B]`, -1 for none.
        *columns: float32 `[B]`.

    Returns:
        int64 `[k]`, without -1, and float32 `[k]` for each column.
    """
    assert interactions is not None  # as the policy remembers_interactions
    where = tf.where(interactions >= 0)[:, 0]
    found, which = tf.unique(tf.gather(interactions, where), out_idx=tf.int64)
    count = tf.size(found, tf.int64)
    return found, [tf.math.unsorted_segment_max(tf.gather(column, where), which, count) for column in columns]
