"""What training logs each epoch: the loss, the realised drop rate and, where feedback is known, what was dropped."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfadt.sampling.batches import Batch

_TOTALS = (
    "steps",
    "loss",
    "rows",
    "positives",
    "dropped",
    "false_positives",
    "false_positive_loss",
    "positive_loss",
    "dropped_false_positives",
)


class TrainingStatistics(keras.metrics.Metric):
    """Totals over an epoch, kept on the device in one vector; the reported values are ratios of them.

    Reports `loss` (mean over steps, of the policy's own kind) and `drop_rate` (realised: dropped rows / rows). With
    feedback also `true_positive_loss`, `false_positive_loss` (means over rows, of the objective), and for the dropped set
    `drop_precision` (share of false positives among the dropped), `drop_recall` (share of the false positives dropped),
    beside what dropping as many positives at random would give: `random_precision` and `random_recall`
    (the paper's Figures 2, 8 and 9).

    Attributes:
        has_feedback: Whether the batches tell false positives; set before the train function is traced.
    """

    def __init__(self, name: str = "training"):
        super().__init__(name=name, dtype="float64")
        self.has_feedback = False
        # float64: a float32 count stops growing at 2**24 rows. Of several replicas each adds the whole batch: one is read.
        self.totals = self.add_variable(
            (len(_TOTALS),), "zeros", dtype="float64", aggregation="only_first_replica", name="totals"
        )

    def update_state(self, batch: Batch, value: tf.Tensor, loss: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds one step: its batch, its loss, and the loss and weight of each row."""
        dropped = tf.cast(tf.equal(weights, 0.0), tf.float32)
        flags = tf.zeros_like(loss) if batch.false_positive is None else batch.false_positive
        rows = tf.stack(
            [
                tf.ones_like(loss),
                batch.labels,
                dropped,
                flags,
                flags * loss,
                batch.labels * loss,
                flags * dropped,
            ]
        )
        sums = tf.concat([[1.0], value[None], tf.reduce_sum(rows, axis=1)], 0)
        self.totals.assign_add(tf.cast(sums, tf.float64))

    def result(self) -> dict[str, Any]:
        """Returns the values as float64 scalars."""
        total = dict(zip(_TOTALS, tf.unstack(self.totals.value), strict=True))

        def ratio(numerator: tf.Tensor, denominator: tf.Tensor) -> tf.Tensor:
            return tf.math.divide_no_nan(numerator, denominator)

        values = {"loss": ratio(total["loss"], total["steps"]), "drop_rate": ratio(total["dropped"], total["rows"])}
        if not self.has_feedback:
            return values
        true_loss = total["positive_loss"] - total["false_positive_loss"]
        return values | {
            "true_positive_loss": ratio(true_loss, total["positives"] - total["false_positives"]),
            "false_positive_loss": ratio(total["false_positive_loss"], total["false_positives"]),
            "drop_precision": ratio(total["dropped_false_positives"], total["dropped"]),
            "drop_recall": ratio(total["dropped_false_positives"], total["false_positives"]),
            "random_precision": ratio(total["false_positives"], total["positives"]),
            "random_recall": ratio(total["dropped"], total["positives"]),
        }
