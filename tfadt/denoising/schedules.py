"""The drop rate as a function of the training iteration (the paper's eq. 3)."""

from __future__ import annotations

import warnings
from typing import Any

import tensorflow as tf

from tfadt.errors import ConfigError


class DropRate:
    """Grows from 0 to `max_drop_rate` over the first `num_gradual` iterations, then stays.

    `rate(T) = max_drop_rate * min(1, T / (N - 1)) ** exponent`: N points from 0 to the maximum, both included, as in the
    authors' code (eq. 3 of the paper reads T / N). The authors' exponent ends its ramp at `max_drop_rate ** exponent` and
    then jumps; ours shapes the ramp and reaches the maximum without a jump.

    Args:
        max_drop_rate: The largest drop rate, in [0, 1).
        num_gradual: N. An int counts iterations; a float in (0, 1] is a share of the run, settled by `prepare`.
        exponent: Shape of the ramp; 1 is linear.

    Raises:
        ConfigError: If an argument is out of its range.
    """

    def __init__(self, max_drop_rate: float = 0.1, num_gradual: int | float = 0.5, exponent: float = 1.0):
        for name, value in (("max_drop_rate", max_drop_rate), ("exponent", exponent)):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"{name} must be a number. Received: {value!r}.")
        if not 0 <= max_drop_rate < 1:
            raise ConfigError(f"max_drop_rate must lie in [0, 1). Received: {max_drop_rate}.")
        if isinstance(num_gradual, bool) or not isinstance(num_gradual, int | float):
            raise ConfigError(f"num_gradual must be an int or a float. Received: {num_gradual!r}.")
        if isinstance(num_gradual, float) and not 0 < num_gradual <= 1:
            raise ConfigError(
                f"num_gradual as a share of the run must lie in (0, 1]; iterations are an int. Received: {num_gradual}."
            )
        if isinstance(num_gradual, int) and num_gradual < 1:
            raise ConfigError(f"num_gradual must be at least 1 iteration. Received: {num_gradual}.")
        if exponent <= 0:
            raise ConfigError(f"exponent must be positive. Received: {exponent}.")
        self.max_drop_rate = float(max_drop_rate)
        self.num_gradual = num_gradual
        self.exponent = float(exponent)
        self._iterations = num_gradual if isinstance(num_gradual, int) else None

    def prepare(self, total_steps: int) -> None:
        """Settles N for a run of `total_steps` iterations; warns when the ramp outlasts the run."""
        if isinstance(self.num_gradual, float):
            self._iterations = max(1, round(self.num_gradual * total_steps))
        elif self.num_gradual > total_steps:
            warnings.warn(
                f"The drop rate's ramp (num_gradual={self.num_gradual}) outlasts the run ({total_steps} iterations): "
                f"it will reach {float(self(max(total_steps - 1, 0))):.4g}, not {self.max_drop_rate:g}.",
                stacklevel=2,
            )

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """Returns the drop rate at iteration `step` (from 0) as a float64 scalar.

        Raises:
            ConfigError: If N is a share of the run and `prepare` has not been called.
        """
        if self._iterations is None:
            raise ConfigError(
                f"num_gradual={self.num_gradual} is a share of the run, whose length is not known here; "
                "call prepare(total_steps) first or give iterations as an int."
            )
        # float64: the number of rows kept, int((1 - rate) * B), must not flip by a rounding.
        progress = tf.cast(step, tf.float64) / tf.constant(max(self._iterations - 1, 1), tf.float64)
        progress = tf.minimum(progress, 1.0)
        if self.exponent != 1.0:
            progress = progress**self.exponent
        return tf.constant(self.max_drop_rate, tf.float64) * progress

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"max_drop_rate": self.max_drop_rate, "num_gradual": self.num_gradual, "exponent": self.exponent}
