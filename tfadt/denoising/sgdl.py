"""SGDL, phase I: clicks that the model memorises early are taken for clean (Gao et al., SIGIR'22, arXiv 2204.06832)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.groups import Groups
from tfadt.denoising.interaction_weights import InteractionWeights
from tfadt.errors import ConfigError
from tfadt.sampling.replicas import copies
from tfadt.search_space import Choices, SearchSpace

_BLOCK_USERS = 2048


@keras.saving.register_keras_serializable("tfadt")
class SGDL(InteractionWeights):
    """Drops, from some epoch on, the clicks that the model has not memorised.

    A click is memorised after an epoch if its item is among its user's best n_u of all items, n_u being the user's number of
    clicks. It is taken for clean if it was memorised after at least half of the last `window` epochs; the others weigh 0.
    The paper's phase II, which goes on from the clean ones with a learned scheduler, is not built; so neither is the end of
    phase I, where a mixture of two normal distributions fitted to the losses says that as many clicks are clean. The public
    code ranks a user's clicks among as many items drawn at random; here all items are ranked, for all users, after each
    epoch.

    Args:
        window: Epochs that are looked back upon; those before the first full window are plain.

    Raises:
        ConfigError: If `window` is below 1.
    """

    search_space: ClassVar[SearchSpace] = {"window": Choices(3, 5, 10)}

    def __init__(self, window: int = 10):
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise ConfigError(f"window must be at least 1 epoch. Received: {window!r}.")
        self.window = window

    @property
    def bytes_per_interaction(self) -> int:  # type: ignore[override]
        """A weight, and a byte for each epoch of the window."""
        return 4 + self.window

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:
        """Makes the weights, and what was memorised after each of the last epochs."""
        super().build(rows, num_users, num_items)
        self._rows, self._users = rows, Groups(rows.user)
        self.memorised = tf.Variable(tf.zeros([self.window, len(rows)], tf.int8), trainable=False, name="memorised")

    @property
    def variables(self) -> list[tf.Variable]:
        """The weights, and what was memorised."""
        return [*super().variables, self.memorised]

    def on_epoch_end(self, epoch: int, model: Any) -> None:
        """Notes what the model has memorised, and weighs by it once the window is full."""
        memorised = self._memorises(model).astype(np.int8)
        for copy in copies(self.memorised):
            copy[epoch % self.window].assign(memorised)
        if epoch + 1 >= self.window:
            share = np.mean(self.memorised.numpy(), axis=0)
            self.weight.assign(share >= 0.5)

    def _memorises(self, model: Any) -> np.ndarray:
        """Returns which interactions are among the best of their user, bool `[n]`."""
        users, found = self._users, np.zeros(len(self._rows), bool)
        for first in range(0, len(users.codes), _BLOCK_USERS):
            block = slice(first, first + _BLOCK_USERS)
            scores = model.score_users(tf.constant(users.codes[block])).numpy()
            best = -np.sort(-scores, axis=1)
            least = best[np.arange(len(best)), users.counts[block] - 1]
            rows = users.rows(block)
            position = users.of_row[rows] - first
            found[rows] = scores[position, self._rows.item[rows]] >= least[position]
        return found

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"window": self.window}
