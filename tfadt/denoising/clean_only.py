"""Clean only: the oracle, trained on the true positives alone. What any denoiser could reach at best."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import DenoisingPolicy, Rows
from tfadt.errors import ConfigError

_NO_FEEDBACK = (
    "CleanOnly leaves out the false positives, so it needs feedback on the training interactions (a rating, a dwell time or "
    "a flag: see ingest.feedback). Received: none."
)


@keras.saving.register_keras_serializable("tfadt")
class CleanOnly(DenoisingPolicy):
    """Drops every false positive and nothing else, and divides by the rows that are kept.

    It sees the feedback that denoising is to do without, so no method can be expected to reach it. Tables mark it.

    Raises:
        ConfigError: If the rows come without feedback.
    """

    needs_feedback: ClassVar[bool] = True
    out_of_reach: ClassVar[bool] = True
    knows_weights = True

    def interaction_weights(self, rows: Interactions) -> np.ndarray:
        """Returns 0 for a false positive, else 1."""
        if rows.false_positive is None:
            raise ConfigError(_NO_FEEDBACK)
        return np.where(rows.false_positive, 0.0, 1.0).astype(np.float32)

    def weights(self, rows: Rows, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns 0 for a false positive, else 1, and their sum."""
        del step
        if rows.false_positive is None:
            raise ConfigError(_NO_FEEDBACK)
        weights = 1.0 - rows.false_positive
        return weights, tf.reduce_sum(weights)

    def get_config(self) -> dict[str, Any]:
        """Returns no settings: there are none."""
        return {}
