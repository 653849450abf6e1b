"""R-CE: rows that the model finds unlikely weigh less (the paper's eqs. 4 to 6)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfadt.denoising.base import DenoisingPolicy, Rows, num_rows
from tfadt.errors import ConfigError
from tfadt.search_space import Choices, SearchSpace


def reweighted_weights(logits: tf.Tensor, labels: tf.Tensor, beta: float, positives_only: bool = False) -> tf.Tensor:
    """Returns `p ** beta` for label 1 and `(1 - p) ** beta` for label 0, where `p = sigmoid(logits)`.

    Args:
        logits: float32 `[B]`.
        labels: float32 `[B]`.
        beta: At least 0; 0 gives ones.
        positives_only: Leave the negatives at weight 1 (eq. 5) instead of weighing them too (eq. 6).

    Returns:
        float32 `[B]` in (0, 1].
    """
    # p ** beta = exp(beta * log p): exact in the tails, where p itself would underflow.
    signed = (2.0 * labels - 1.0) * logits
    weights = tf.exp(beta * tf.math.log_sigmoid(signed))
    return tf.where(labels > 0.5, weights, 1.0) if positives_only else weights


@keras.saving.register_keras_serializable("tfadt")
class RCE(DenoisingPolicy):
    """Reweighted loss: hard rows count less, by a power of the predicted probability (eqs. 4 to 6).

    Args:
        beta: The power; the paper searches {.05, .1, .15, .2, .25, .5, 1}. 0 is plain training.
        positives_only: Weigh only positives (eq. 5). The authors' code weighs negatives too (eq. 6), our default.
        normalise: Divide by the sum of the weights instead of by B.

    Raises:
        ConfigError: If `beta` is negative.
    """

    # The paper's section 5, parameter settings.
    search_space: ClassVar[SearchSpace] = {"beta": Choices(0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0)}

    def __init__(self, beta: float = 0.25, positives_only: bool = False, normalise: bool = False):
        if isinstance(beta, bool) or not isinstance(beta, int | float) or not 0 <= beta < float("inf"):
            raise ConfigError(f"beta must be at least 0. Received: {beta!r}.")
        self.beta = float(beta)
        self.positives_only = bool(positives_only)
        self.normalise = bool(normalise)

    def weights(self, rows: Rows, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the power of the predicted probability, and B (or the weights' sum)."""
        del step
        weights = reweighted_weights(rows.logits, rows.labels, self.beta, self.positives_only)
        if not self.normalise:
            return weights, num_rows(rows.loss)
        return weights, tf.maximum(tf.reduce_sum(weights), keras.config.epsilon())

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"beta": self.beta, "positives_only": self.positives_only, "normalise": self.normalise}
