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
    largest. The authors have one pair of bounds for users and items, by model and data set: GMF `[1, 2]` on MovieLens 1M,
    `[.9, 1]` on Yelp, `[.14, .4]` on Amazon-book; NeuMF `[.5, 1.5]`, `[.05, .1]`, `[.05, .1]`; CDAE `[.5, 1.5]`, `[.1, .5]`,
    `[.1, .5]`. Their code ranks the losses of sampled negatives along with those of clicks, and counts them in the means;
    here clicks alone count, since negatives are others in each epoch, or no rows where a batch shares them.

    Args:
        lower: Reputation of the user, and of the item, with the largest mean loss.
        upper: Reputation of those with the smallest.
        first_epoch: The first epoch (from 0) that has weights.

    Raises:
        ConfigError: If an argument is out of its range.
    """

    search_space: ClassVar[SearchSpace] = {"lower": Choices(0.1, 0.5, 1.0), "upper": Choices(1.0, 1.5, 2.0)}

    def __init__(self, lower: float = 1.0, upper: float = 2.0, first_epoch: int = 2):
        super().__init__(first_epoch)
        if not 0 <= lower <= upper or upper == 0:
            raise ConfigError(f"Expected 0 <= lower <= upper, not both 0. Received: {lower!r} and {upper!r}.")
        self.lower, self.upper = float(lower), float(upper)

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:
        """Makes the state."""
        super().build(rows, num_users, num_items)
        self._users, self._items = Groups(rows.user), Groups(rows.item)

    def reweigh(self, loss: np.ndarray) -> None:
        """Sets the weights."""
        rank = np.empty(len(loss))
        rank[np.argsort(-loss, kind="stable")] = np.arange(len(loss)) + 0.5
        weight = rank / len(loss)
        for groups in (self._users, self._items):
            weight *= groups.by_rank(groups.mean(loss), self.upper, self.lower)[groups.of_row]
        self.weight.assign(weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"lower": self.lower, "upper": self.upper, **super().get_config()}
