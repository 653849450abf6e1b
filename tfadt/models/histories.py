"""Users known by their items alone, as rankings and evaluations see users."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import CSR


@runtime_checkable
class HistoryScorer(Protocol):
    """A model that also ranks for users whom it knows by their items alone."""

    num_items: int

    def score_histories(self, items: tf.Tensor) -> tf.Tensor:
        """Returns float32 `[B, num_items]` for histories int64 `[B, H]` without repeats, padded with -1."""


class Histories:
    """A scorer of users whom the model never saw: user u is row u of the histories.

    Args:
        model: The model.
        histories: Their items.
    """

    def __init__(self, model: HistoryScorer, histories: CSR):
        self.num_users = len(histories.counts)
        self.num_items = model.num_items
        self._model = model
        place = np.arange(max(int(histories.counts.max(initial=0)), 1))
        items = np.full((self.num_users, len(place)), -1, np.int64)
        items[place < histories.counts[:, None]] = histories.items
        self._items = tf.Variable(items, trainable=False)

    def score_users(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the scores of all items for the rows int64 `[B]`: float32 `[B, num_items]`."""
        return self._model.score_histories(tf.gather(self._items, users))
