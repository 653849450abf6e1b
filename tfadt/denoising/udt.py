"""UDT: a user's clicks compete by their losses, and users with large losses count less (Chua et al., RecSys'24)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import Rows
from tfadt.denoising.groups import Groups
from tfadt.denoising.remembered_loss import RememberedLoss
from tfadt.errors import ConfigError
from tfadt.search_space import Choices, SearchSpace


@keras.saving.register_keras_serializable("tfadt")
class UDT(RememberedLoss):
    """Unified denoising training: the uncertainty of users and of their clicks, told by the losses of the last epoch.

    Users are ranked by the mean loss of their clicks. A click weighs `f_u n_u softmax(-loss / tau_u)` over the n_u clicks of
    its user, a sampled negative f_u (negatives that a batch shares are no rows): `tau_u` lies evenly between the
    temperatures and `f_u` between the factors, from the user with the smallest loss to the one with the largest. The public
    code ranks users by the losses of their negatives, too, over the number of clicks; here the losses of clicks alone count.

    Args:
        lowest_temperature: tau of the user with the smallest loss.
        highest_temperature: tau of the user with the largest loss.
        highest_factor: f of the user with the smallest loss.
        lowest_factor: f of the user with the largest loss.
        first_epoch: The first epoch (from 0) that has weights.

    Raises:
        ConfigError: If an argument is out of its range.
    """

    search_space: ClassVar[SearchSpace] = {
        "lowest_temperature": Choices(0.1, 0.2, 0.5),
        "highest_temperature": Choices(0.5, 1.0, 2.0),
        "lowest_factor": Choices(0.0, 0.25, 0.5),
    }

    def __init__(
        self,
        lowest_temperature: float = 0.2,
        highest_temperature: float = 0.5,
        highest_factor: float = 0.5,
        lowest_factor: float = 0.0,
        first_epoch: int = 2,
    ):
        super().__init__(first_epoch)
        if not 0 < lowest_temperature <= highest_temperature:
            raise ConfigError(
                "Expected 0 < lowest_temperature <= highest_temperature. "
                f"Received: {lowest_temperature!r} and {highest_temperature!r}."
            )
        if not 0 <= lowest_factor <= highest_factor or highest_factor == 0:
            raise ConfigError(
                "Expected 0 <= lowest_factor <= highest_factor, not both 0. "
                f"Received: {lowest_factor!r} and {highest_factor!r}."
            )
        self.lowest_temperature = float(lowest_temperature)
        self.highest_temperature = float(highest_temperature)
        self.highest_factor = float(highest_factor)
        self.lowest_factor = float(lowest_factor)

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:
        """Makes the state: also the factor of each user."""
        super().build(rows, num_users, num_items)
        self._users = Groups(rows.user)
        self.factor = tf.Variable(tf.ones(num_users), trainable=False, name="factor")

    @property
    def variables(self) -> list[tf.Variable]:
        """The losses, the weights and the users' factors."""
        return [*super().variables, self.factor]

    def weights_of_others(self, rows: Rows) -> tf.Tensor:
        """Returns the factor of each row's user, float32 `[B]`."""
        return tf.gather(self.factor, rows.users)

    def reweigh(self, loss: np.ndarray) -> None:
        """Sets the weights of clicks and the factors of users."""
        users = self._users
        means = users.mean(loss)
        temperature = users.by_rank(means, self.lowest_temperature, self.highest_temperature)
        factor = users.by_rank(means, self.highest_factor, self.lowest_factor)
        self.weight.assign(factor[users.of_row] * users.softmax(-loss / temperature[users.of_row]))
        every = np.ones(self.factor.shape[0], np.float32)
        every[users.codes] = factor
        self.factor.assign(every)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "lowest_temperature": self.lowest_temperature,
            "highest_temperature": self.highest_temperature,
            "highest_factor": self.highest_factor,
            "lowest_factor": self.lowest_factor,
            **super().get_config(),
        }
