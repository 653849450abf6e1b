"""EARD: how reliable a click is by its loss, and by the losses of its user and of its item (arXiv 2508.10851)."""

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
class EARD(RememberedLoss):
    """Entity-aware reliability: a click weighs `F a_u a_i`; negatives weigh 1.

    F is the share of the clicks with a larger loss (the rank of -loss, less a half, over n). The reputations a_u and a_i
    fall evenly, from the upper to the lower bound, from the user (item) with the smallest mean loss to the one with the
    largest.
    The paper's bounds differ by model; the defaults are those for GMF.

    Args:
        lower_user: Reputation of the user with the largest mean loss.
        upper_user: Reputation of the user with the smallest.
        lower_item: Reputation of the item with the largest mean loss.
        upper_item: Reputation of the item with the smallest.
        first_epoch: The first epoch (from 0) that has weights.

    Raises:
        ConfigError: If an argument is out of its range.
    """

    search_space: ClassVar[SearchSpace] = {
        "lower_user": Choices(0.5, 1.0),
        "upper_user": Choices(1.5, 2.0),
        "lower_item": Choices(0.1, 0.5, 0.9),
    }

    def __init__(
        self,
        lower_user: float = 1.0,
        upper_user: float = 2.0,
        lower_item: float = 0.9,
        upper_item: float = 1.0,
        first_epoch: int = 2,
    ):
        super().__init__(first_epoch)
        for name, lower, upper in (("user", lower_user, upper_user), ("item", lower_item, upper_item)):
            if not 0 <= lower <= upper or upper == 0:
                raise ConfigError(
                    f"Expected 0 <= lower_{name} <= upper_{name}, not both 0. Received: {lower!r} and {upper!r}."
                )
        self.lower_user, self.upper_user = float(lower_user), float(upper_user)
        self.lower_item, self.upper_item = float(lower_item), float(upper_item)

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:
        """Makes the state."""
        super().build(rows, num_users, num_items)
        self._users, self._items = Groups(rows.user), Groups(rows.item)

    def reweigh(self, loss: np.ndarray) -> None:
        """Sets the weights."""
        rank = np.empty(len(loss))
        rank[np.argsort(-loss, kind="stable")] = np.arange(len(loss)) + 0.5
        weight = rank / len(loss)
        for groups, lower, upper in (
            (self._users, self.lower_user, self.upper_user),
            (self._items, self.lower_item, self.upper_item),
        ):
            weight *= groups.by_rank(groups.mean(loss), upper, lower)[groups.of_row]
        self.weight.assign(weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        bounds = {name: getattr(self, name) for name in ("lower_user", "upper_user", "lower_item", "upper_item")}
        return {**bounds, **super().get_config()}
