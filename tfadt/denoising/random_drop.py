"""Random drop: as many positives as T-CE drops, but any: the control that a truncated loss has to beat."""

from __future__ import annotations

from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import Rows
from tfadt.denoising.truncated import TCE
from tfadt.sampling.hashing import derive_key, hash32, uniform

_STREAM = 0x52


@keras.saving.register_keras_serializable("tfadt")
class RandomDrop(TCE):
    """Drops at each iteration as many positives as T-CE with the same arguments would, drawn at random.

    In a configuration it has T-CE's settings unless it is given others. Draws are keyed by (iteration, row of the batch), so
    that a resumed run repeats them; which interactions these rows are is a matter of the model's seed. A closed form, which
    has no iterations, is solved without `max_drop_rate` of the interactions, drawn once.
    """

    control: ClassVar[bool] = True
    settings_of: ClassVar[str | None] = "t_ce"
    knows_weights = True

    def hardness(self, rows: Rows, step: tf.Tensor) -> tf.Tensor:
        """Returns a uniform random number in [0, 1) for each row."""
        row = tf.cumsum(tf.ones_like(rows.users), exclusive=True)
        return uniform(hash32(derive_key(0, _STREAM, step), row))

    def interaction_weights(self, rows: Interactions) -> np.ndarray:
        """Returns 0 for those that are dropped, else 1."""
        weights = np.ones(len(rows), np.float32)
        dropped = int(self.drop_rate.max_drop_rate * len(rows))
        weights[np.random.default_rng(_STREAM).permutation(len(rows))[:dropped]] = 0.0
        return weights

    def dropped_share(self, positive_share: float, step: int) -> float:
        """Returns 0: it tells no interaction from another."""
        del positive_share, step
        return 0.0
