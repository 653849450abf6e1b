"""T-CE: positives with large loss are dropped, more of them as training goes on (the paper's eqs. 2 and 3)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import keras
import tensorflow as tf

from tfadt.denoising.base import DenoisingPolicy, Rows
from tfadt.denoising.schedules import DropRate
from tfadt.errors import ConfigError
from tfadt.search_space import Choices, SearchSpace

Scope = Literal["batch", "positives"]
MeanOver = Literal["kept", "all"]


def num_dropped(base: tf.Tensor, drop_rate: tf.Tensor) -> tf.Tensor:
    """Returns how many of `base` rows a drop rate takes away: `base - int((1 - drop_rate) * base)`, int32."""
    kept = (1.0 - tf.cast(drop_rate, tf.float64)) * tf.cast(base, tf.float64)
    return base - tf.cast(kept, tf.int32)


def truncated_weights(
    loss: tf.Tensor, labels: tf.Tensor, drop_rate: tf.Tensor, max_drop_rate: float, scope: Scope = "batch"
) -> tuple[tf.Tensor, tf.Tensor]:
    """Weighs the positives with the largest loss 0 and every other row 1.

    At most `num_dropped(B, max_drop_rate)` rows can go, so one `top_k` of that size replaces a sort of the batch.

    Args:
        loss: float32 `[B]`.
        labels: float32 `[B]`; only rows with label 1 are ever dropped.
        drop_rate: Scalar, the current drop rate; at most `max_drop_rate`.
        max_drop_rate: The largest drop rate.
        scope: What the drop rate is a share of: all rows of the batch (the authors' code: with one negative for each
            positive that is twice the share of the positives) or its positives.

    Returns:
        `(weights, dropped)`: float32 `[B]` of zeros and ones, and the int32 number of zeros.
    """
    positive = labels > 0.5
    rows = tf.size(loss)
    num_positives = tf.math.count_nonzero(positive, dtype=tf.int32)
    base = rows if scope == "batch" else num_positives
    # Never more than there are positives: a batch can by chance hold fewer than the rate asks for.
    dropped = tf.minimum(num_dropped(base, drop_rate), num_positives)
    most = tf.minimum(num_dropped(base, tf.constant(max_drop_rate, tf.float64)), num_positives)
    _, hardest = tf.math.top_k(tf.where(positive, loss, -1.0), most)
    hardest = tf.cast(hardest, tf.int64)[:dropped]  # in this order: on a GPU, int32 would be sliced on the host
    weights = tf.tensor_scatter_nd_update(tf.ones_like(loss), hardest[:, None], tf.zeros_like(hardest, loss.dtype))
    return weights, dropped


@keras.saving.register_keras_serializable("tfadt")
class TCE(DenoisingPolicy):
    """Truncated loss: drop the positives whose loss is largest, at the rate of `DropRate` (eqs. 2 and 3).

    Args:
        max_drop_rate: The largest drop rate (epsilon_max); the paper searches {.05, .1, .2}.
        num_gradual: Iterations (int) or share of the run (float) until it is reached; the paper searches {1k .. 30k}.
        exponent: Shape of the ramp.
        scope: `"batch"`, the authors' behaviour, or `"positives"`; see `truncated_weights`.
        mean_over: Divide by the `"kept"` rows, the authors' behaviour, or by `"all"` rows.

    Raises:
        ConfigError: If an argument is out of its range.
    """

    # The paper's section 5, parameter settings.
    search_space: ClassVar[SearchSpace] = {
        "max_drop_rate": Choices(0.05, 0.1, 0.2),
        "num_gradual": Choices(0.1, 0.25, 0.5, 1.0),
    }

    def __init__(
        self,
        max_drop_rate: float = 0.1,
        num_gradual: int | float = 0.5,
        exponent: float = 1.0,
        scope: Scope = "batch",
        mean_over: MeanOver = "kept",
    ):
        if scope not in ("batch", "positives"):
            raise ConfigError(f"scope must be 'batch' or 'positives'. Received: {scope!r}.")
        if mean_over not in ("kept", "all"):
            raise ConfigError(f"mean_over must be 'kept' or 'all'. Received: {mean_over!r}.")
        self.drop_rate = DropRate(max_drop_rate, num_gradual, exponent)
        self.scope: Scope = scope
        self.mean_over: MeanOver = mean_over

    def prepare(self, total_steps: int, positive_share: float) -> None:
        """Settles the ramp; refuses a maximum that would drop every positive of a batch."""
        share = positive_share if self.scope == "batch" else 1.0
        if self.drop_rate.max_drop_rate >= share:
            raise ConfigError(
                f"max_drop_rate must be below the share of positives in a batch ({share:g}), or every positive would be "
                f"dropped. Received: {self.drop_rate.max_drop_rate:g}."
            )
        self.drop_rate.prepare(total_steps)

    def weights(self, rows: Rows, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns 0 for the dropped positives, 1 for the rest, and the number of rows the mean is over."""
        rate, most = self.drop_rate(step), self.drop_rate.max_drop_rate
        weights, dropped = truncated_weights(self.hardness(rows, step), rows.labels, rate, most, self.scope)
        counted = tf.size(rows.loss) if self.mean_over == "all" else tf.size(rows.loss) - dropped
        return weights, tf.cast(counted, tf.float32)

    def hardness(self, rows: Rows, step: tf.Tensor) -> tf.Tensor:
        """Returns what the dropped rows have the largest of, float32 `[B]`, at least 0: the loss."""
        del step
        return rows.loss

    def dropped_share(self, positive_share: float, step: int) -> float:
        """Returns the share of the positives that go at iteration `step`."""
        rate = float(self.drop_rate(step))
        return min(1.0, rate / positive_share) if self.scope == "batch" else rate

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**self.drop_rate.get_config(), "scope": self.scope, "mean_over": self.mean_over}
