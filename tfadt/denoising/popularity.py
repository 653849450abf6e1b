"""Popularity: clicks on popular items weigh more, the control that a denoiser without feedback has to beat."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np

from tfadt.data.interactions import Interactions
from tfadt.denoising.click_weights import ClickWeights, over_mean
from tfadt.errors import ConfigError
from tfadt.search_space import Choices, SearchSpace


@keras.saving.register_keras_serializable("tfadt")
class Popularity(ClickWeights):
    """Weighs a click by `count(item) ** gamma` over the mean of it, the count being the item's training clicks.

    Popular items are disliked less often where people choose what they click on, and their loss is smaller: so much of what
    a denoiser by loss does is this.

    Args:
        gamma: The power; 0 is plain training.

    Raises:
        ConfigError: If `gamma` is negative.
    """

    search_space: ClassVar[SearchSpace] = {"gamma": Choices(0.25, 0.5, 1.0)}

    def __init__(self, gamma: float = 0.5):
        if isinstance(gamma, bool) or not isinstance(gamma, int | float) or not 0 <= gamma < float("inf"):
            raise ConfigError(f"gamma must be at least 0. Received: {gamma!r}.")
        self.gamma = float(gamma)

    def interaction_weights(self, rows: Interactions) -> np.ndarray:
        """Returns the power of the item's count over its mean."""
        counts = np.bincount(rows.item)
        return over_mean(counts[rows.item] ** self.gamma)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"gamma": self.gamma}
