"""Plain training: every row counts the same. The baseline that denoising is compared with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import DenoisingPolicy, Rows, num_rows


@keras.saving.register_keras_serializable("tfadt")
class Standard(DenoisingPolicy):
    """The mean loss over all rows of the batch ("normal training" in the paper)."""

    knows_weights = True

    def interaction_weights(self, rows: Interactions) -> np.ndarray:
        """Returns ones."""
        return np.ones(len(rows), np.float32)

    def weights(self, rows: Rows, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns ones and B."""
        del step
        return tf.ones_like(rows.loss), num_rows(rows.loss)

    def get_config(self) -> dict[str, Any]:
        """Returns no settings: there are none."""
        return {}
