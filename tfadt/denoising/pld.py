"""PLD: a click counts by its loss among the losses of its user's clicks (Zhang et al., WWW'25, arXiv 2502.00348)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np

from tfadt.data.interactions import Interactions
from tfadt.denoising.groups import Groups
from tfadt.denoising.remembered_loss import RememberedLoss
from tfadt.errors import ConfigError
from tfadt.search_space import Choices, SearchSpace


@keras.saving.register_keras_serializable("tfadt")
class PLD(RememberedLoss):
    """Weighs a click by `n_u softmax(-loss / tau)` over the n_u clicks of its user; negatives weigh 1.

    The authors draw at each step a user, a pool of five of its clicks, and one of the pool with these probabilities. A
    weight is what such draws come to on average when the pool is all of the user's clicks, and it works for every model and
    objective. From a pool of five no click is drawn more than five times as often as by chance; a weight has no such bound,
    so the same tau acts more strongly here, the more so the further apart the losses of an objective lie.

    Args:
        temperature: tau; the smaller, the more the clicks with the smallest losses count.
        first_epoch: The first epoch (from 0) that has weights.

    Raises:
        ConfigError: If an argument is out of its range.
    """

    search_space: ClassVar[SearchSpace] = {"temperature": Choices(0.05, 0.1, 0.2, 0.5, 1.0)}

    def __init__(self, temperature: float = 0.1, first_epoch: int = 5):
        super().__init__(first_epoch)
        if not 0 < temperature < float("inf"):
            raise ConfigError(f"temperature must be positive. Received: {temperature!r}.")
        self.temperature = float(temperature)

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:
        """Makes the state."""
        super().build(rows, num_users, num_items)
        self._users = Groups(rows.user)

    def reweigh(self, loss: np.ndarray) -> None:
        """Sets the weights."""
        self.weight.assign(self._users.softmax(-loss / self.temperature))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"temperature": self.temperature, **super().get_config()}
