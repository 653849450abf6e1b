"""NR: only known true positives are positives; other clicks are negatives of another weight (Wen et al., RecSys'19)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfadt.denoising.base import DenoisingPolicy, Rows, num_rows
from tfadt.errors import ConfigError
from tfadt.search_space import Choices, SearchSpace


@keras.saving.register_keras_serializable("tfadt")
class NR(DenoisingPolicy):
    """Negative feedback reweighting, a baseline of the paper's Table 4 that uses extra feedback.

    Known true positives are positives of weight 1, other clicks negatives of weight `click_weight`, sampled items negatives
    of weight `negative_weight`; the sum is divided by the number of rows.

    Args:
        click_weight: Weight of a click that is not known to be liked.
        negative_weight: Weight of a sampled item.

    Raises:
        ConfigError: If a weight is negative.
    """

    needs_extra_feedback: ClassVar[bool] = True
    search_space: ClassVar[SearchSpace] = {"click_weight": Choices(0.01, 0.03, 0.1, 0.3, 1.0)}

    def __init__(self, click_weight: float = 0.1, negative_weight: float = 1.0):
        for name, value in (("click_weight", click_weight), ("negative_weight", negative_weight)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise ConfigError(f"{name} must be at least 0. Received: {value!r}.")
        self.click_weight = float(click_weight)
        self.negative_weight = float(negative_weight)

    def relabel(
        self, labels: tf.Tensor, known_positive: tf.Tensor | None, interactions: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns 1 for known true positives and 0 for other clicks and sampled items, and the weights.

        Where nothing is known (in validation), every click is a positive.
        """
        del interactions
        known = labels if known_positive is None else known_positive
        negative = tf.where(labels > 0.5, self.click_weight, self.negative_weight)
        return known, tf.where(known > 0.5, 1.0, negative)

    def weights(self, rows: Rows, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns ones, which `relabel` weighs, and B."""
        del step
        return tf.ones_like(rows.loss), num_rows(rows.loss)

    def prepare(self, total_steps: int, positive_share: float) -> None:
        """Refuses pairs and positives against shared negatives, among which a click that is a negative cannot stand."""
        del total_steps
        if positive_share == 1.0:
            raise ConfigError(
                "NR makes negatives of clicks, which pairs (BPR) and positives against shared negatives (softmax) have no "
                "place for. Expected another objective and negatives by row."
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"click_weight": self.click_weight, "negative_weight": self.negative_weight}
