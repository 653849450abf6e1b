"""T-CE and R-CE as plain Keras losses, for any Keras model with one probability or logit a row."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import tensorflow as tf

from tfadt.denoising.reweighted import reweighted_weights
from tfadt.denoising.schedules import DropRate
from tfadt.denoising.truncated import truncated_weights
from tfadt.errors import ConfigError
from tfadt.losses.objectives import binary_crossentropy


def _logits(y_pred: tf.Tensor, from_logits: bool) -> tf.Tensor:
    if from_logits:
        return y_pred
    clipped = tf.clip_by_value(y_pred, keras.config.epsilon(), 1.0 - keras.config.epsilon())
    return tf.math.log(clipped) - tf.math.log1p(-clipped)


class _RowLoss(keras.losses.Loss):
    """A loss whose rows are all the cells of `y_true`: flattens, weighs, and gives the shape back."""

    def __init__(self, from_logits: bool, reduction: str, name: str, dtype: Any):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the weighed loss of each cell, of `y_pred`'s shape."""
        y_pred = tf.convert_to_tensor(y_pred)
        labels = tf.reshape(tf.cast(y_true, y_pred.dtype), [-1])
        logits = tf.reshape(_logits(y_pred, self.from_logits), [-1])
        loss = binary_crossentropy(labels, logits)
        weights = self._weights(tf.stop_gradient(loss), tf.stop_gradient(logits), labels)
        return tf.reshape(loss * weights, tf.shape(y_pred))

    def _weights(self, loss: tf.Tensor, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError  # abstract: keras.losses.Loss has its own metaclass, so no ABC here


@keras.saving.register_keras_serializable("tfadt")
class TruncatedBinaryCrossentropy(_RowLoss):
    """T-CE (the paper's eq. 2) as a Keras loss: the positives with the largest loss in a batch count nothing.

    The drop rate starts at 0; `DropRateSchedule` moves it during `fit`, and without that a warning says so. With the
    reduction `"sum_over_batch_size"` the
    value is the mean over the kept rows, as in the authors' code.

    Args:
        max_drop_rate: The largest drop rate.
        num_gradual: Iterations (int) or share of the run (float) until it is reached.
        exponent: Shape of the ramp.
        from_logits: Whether `y_pred` holds logits rather than probabilities.
        reduction: As in `keras.losses.Loss`.
        name: As in `keras.losses.Loss`.
        dtype: As in `keras.losses.Loss`.

    Raises:
        ConfigError: If an argument is out of its range.

    Example:
        >>> loss = TruncatedBinaryCrossentropy(max_drop_rate=0.1, num_gradual=1000)
        >>> model.compile("adam", loss=loss)
        >>> model.fit(x, y, callbacks=[DropRateSchedule(loss)])
    """

    def __init__(
        self,
        max_drop_rate: float = 0.1,
        num_gradual: int | float = 0.5,
        exponent: float = 1.0,
        from_logits: bool = False,
        reduction: str = "sum_over_batch_size",
        name: str = "truncated_binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, reduction, name, dtype)
        self.schedule = DropRate(max_drop_rate, num_gradual, exponent)
        self.drop_rate = tf.Variable(0.0, trainable=False, dtype=tf.float64, name="drop_rate")
        self.scheduled = False

    def _weights(self, loss: tf.Tensor, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        del logits
        with tf.init_scope():
            idle = not self.scheduled and float(self.drop_rate.numpy()) == 0.0
        if idle:
            warnings.warn(
                "TruncatedBinaryCrossentropy drops nothing, as no callback moves its drop rate. "
                "Train with fit(..., callbacks=[DropRateSchedule(loss)]).",
                stacklevel=2,
            )
            self.scheduled = True  # told once
        weights, dropped = truncated_weights(loss, labels, self.drop_rate, self.schedule.max_drop_rate)
        rows = tf.size(loss)
        # The reduction divides by all rows; this makes it the mean over the kept ones.
        scale = tf.math.divide_no_nan(tf.cast(rows, loss.dtype), tf.cast(rows - dropped, loss.dtype))
        return weights * scale

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self.schedule.get_config(), "from_logits": self.from_logits}


@keras.saving.register_keras_serializable("tfadt")
class ReweightedBinaryCrossentropy(_RowLoss):
    """R-CE (the paper's eqs. 4 to 6) as a Keras loss: rows that the model finds unlikely count less.

    Args:
        beta: The power of the predicted probability; 0 is plain cross-entropy.
        positives_only: Weigh only positives (eq. 5).
        from_logits: Whether `y_pred` holds logits rather than probabilities.
        reduction: As in `keras.losses.Loss`.
        name: As in `keras.losses.Loss`.
        dtype: As in `keras.losses.Loss`.

    Raises:
        ConfigError: If `beta` is negative.
    """

    def __init__(
        self,
        beta: float = 0.25,
        positives_only: bool = False,
        from_logits: bool = False,
        reduction: str = "sum_over_batch_size",
        name: str = "reweighted_binary_crossentropy",
        dtype: Any = None,
    ):
        if beta < 0:
            raise ConfigError(f"beta must be at least 0. Received: {beta}.")
        super().__init__(from_logits, reduction, name, dtype)
        self.beta = float(beta)
        self.positives_only = bool(positives_only)

    def _weights(self, loss: tf.Tensor, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        del loss
        return reweighted_weights(logits, labels, self.beta, self.positives_only)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        return {**config, "beta": self.beta, "positives_only": self.positives_only, "from_logits": self.from_logits}


class DropRateSchedule(keras.callbacks.Callback):
    """Moves the drop rate of a `TruncatedBinaryCrossentropy` along its schedule, by the optimizer's iterations.

    With `steps_per_execution` above 1 the rate stands still within a call.

    Args:
        loss: The loss that the model was compiled with.
    """

    def __init__(self, loss: TruncatedBinaryCrossentropy):
        super().__init__()
        self.truncated = loss
        loss.scheduled = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Settles the ramp for the length of this run; with an unknown number of steps N must be an int."""
        del logs
        epochs, calls = self.params.get("epochs"), self.params.get("steps")
        if calls is not None:
            self.truncated.schedule.prepare(epochs * calls)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the drop rate of the coming step: the optimizer's count, which goes on when training is resumed."""
        del batch, logs
        self.truncated.drop_rate.assign(self.truncated.schedule(int(self.model.optimizer.iterations)))
