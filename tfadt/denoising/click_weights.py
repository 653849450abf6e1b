"""The base of policies that weigh each click by what is known before training."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.interaction_weights import InteractionWeights


class ClickWeights(InteractionWeights):
    """Weighs each click by `interaction_weights`, whose mean is 1, and all other rows by 1; divides by B.

    So the clicks as a whole count as in plain training, and only what one of them counts beside another changes.
    """

    knows_weights = True

    @abstractmethod
    def interaction_weights(self, rows: Interactions) -> np.ndarray:
        """Returns what each interaction weighs, float32 `[n]` of mean 1."""

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:
        """Makes the weights.

        Raises:
            OutOfMemoryError: If they do not fit.
        """
        super().build(rows, num_users, num_items)
        self.weight.assign(self.interaction_weights(rows))

    @property
    def variables(self) -> list[tf.Variable]:
        """Nothing: training does not change the weights, and a resumed one makes them anew."""
        return []


def over_mean(values: np.ndarray) -> np.ndarray:
    """Returns values over their mean, float32 `[n]`, so that their mean is 1; ones where all of them are 0."""
    mean = values.mean() if len(values) else 0.0
    return (values / mean if mean > 0 else np.ones_like(values)).astype(np.float32)
