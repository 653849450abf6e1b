"""The policy `noise_model`: clicks that the noise model takes for false positives weigh less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import DenoisingPolicy, Rows
from tfadt.denoising.click_weights import ClickWeights, over_mean
from tfadt.denoising.noise_model import NoiseModel
from tfadt.errors import ConfigError
from tfadt.registry import POLICIES
from tfadt.search_space import Choices, SearchSpace


@keras.saving.register_keras_serializable("tfadt")
class NoiseWeights(ClickWeights):
    """Weighs a click by `(1 - p) ** power` over the mean of it, p being the noise model's; known clicks have p 0 or 1.

    Weighing, unlike dropping, keeps what little there is of rare items. Another policy can act on the same rows: the
    weights are then multiplied, and the sum is divided by that policy's divisor.

    In a run, the strength is chosen on validation where neither `power` nor `gamma` is set (`denoising.strength`).

    Args:
        power: Strength of the weights, at least 0. Default: 1, or 0 where `gamma` is set.
        gamma: Strength of the noise model when items are ranked, at least 0: see
            `tfadt.models.noise_ranked.NoiseRanked`. Default: 0.
        with_policy: Name of a policy that acts on the rows as well, such as `t_ce`.
        with_settings: Its settings.

    Raises:
        ConfigError: If a strength is negative, or the other policy or its settings are unknown.
    """

    needs_extra_feedback: ClassVar[bool] = True
    search_space: ClassVar[SearchSpace] = {"power": Choices(0.5, 1.0, 2.0, 3.0), "gamma": Choices(0.0, 0.5, 1.0, 2.0)}

    def __init__(
        self,
        power: float | None = None,
        gamma: float | None = None,
        with_policy: str | None = None,
        with_settings: Mapping[str, Any] | None = None,
    ):
        for name, value in (("power", power), ("gamma", gamma)):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (is_number and 0 <= value < float("inf")):
                raise ConfigError(f"{name} must be at least 0. Received: {value!r}.")
        self.power = float(power if power is not None else gamma is None)
        self.gamma = float(gamma or 0.0)
        self.with_policy = with_policy
        self.with_settings = dict(with_settings or {})
        self._other: DenoisingPolicy | None = None
        if with_policy is not None:
            other = POLICIES.resolve(with_policy, self.with_settings)
            if other.knows_weights or other.needs_extra_feedback or other.remembers_interactions:
                raise ConfigError(
                    f"with_policy must be t_ce, r_ce or another one that acts on the loss alone. Received: '{with_policy}'."
                )
            self._other = other(**self.with_settings)
            self.knows_weights = False

    def interaction_weights(self, rows: Interactions) -> np.ndarray:
        """Fits the noise model to the known clicks among `rows` and returns the weights.

        Raises:
            DataError: If the known clicks do not suffice.
        """
        model = NoiseModel.fit(rows, int(rows.user.max(initial=-1)) + 1, int(rows.item.max(initial=-1)) + 1)
        return over_mean((1.0 - model.probabilities(rows)) ** self.power)

    def weights(self, rows: Rows, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weights of the clicks times those of the other policy, and its divisor or B."""
        weights, divisor = super().weights(rows, step)
        if self._other is None:
            return weights, divisor
        theirs, divisor = self._other.weights(rows, step)
        return weights * theirs, divisor

    def prepare(self, total_steps: int, positive_share: float) -> None:
        """Prepares the other policy."""
        if self._other is not None:
            self._other.prepare(total_steps, positive_share)

    def on_epoch_begin(self, epoch: int) -> None:
        """Tells the other policy."""
        if self._other is not None:
            self._other.on_epoch_begin(epoch)

    def dropped_share(self, positive_share: float, step: int) -> float:
        """Returns what the other policy drops."""
        return 0.0 if self._other is None else self._other.dropped_share(positive_share, step)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "power": self.power,
            "gamma": self.gamma,
            "with_policy": self.with_policy,
            "with_settings": self.with_settings,
        }
