"""DCF: clicks are dropped by a lower bound of their mean loss, the surest are relabelled (He et al., arXiv 2405.11272)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import Rows
from tfadt.denoising.remembered_loss import distinct
from tfadt.denoising.truncated import TCE, MeanOver, Scope
from tfadt.errors import ConfigError
from tfadt.memory import require_memory
from tfadt.sampling.replicas import copies
from tfadt.search_space import Choices, SearchSpace


@keras.saving.register_keras_serializable("tfadt")
class DCF(TCE):
    """Double correction: T-CE on what is sure of a click's loss, and labels put right.

    Drops as T-CE does, yet not by the loss of the moment: by its mean over the last epochs, damped to `log(1 + l + l^2 / 2)`
    (eq. 2), less a confidence bound that is wide for clicks that were seldom kept (eq. 4):
    `v (s + v log(2 s) / s^2) / (n - v)`, with v the variance, s the epochs in the mean and n one more than those of them in
    which the click was kept. So a hard click, which training rarely shows, keeps its chance. At the end of each epoch the
    clicks with the largest bounds become negatives for good, until they are a share `relabel_ratio` of all that are dropped
    at the drop rate. The authors' code counts by position in the epoch, not by interaction, lets v fall to 0
    over the epochs, and leaves the label of what it relabels as it was; the paper is followed here.

    Args:
        max_drop_rate: As in `TCE`.
        num_gradual: As in `TCE`.
        exponent: As in `TCE`.
        scope: As in `TCE`.
        mean_over: As in `TCE`.
        window: Epochs that the mean loss is over.
        variance: v, in [0, 1).
        relabel_ratio: Share of the dropped clicks that become negatives; 0 for none.

    Raises:
        ConfigError: If an argument is out of its range.
    """

    remembers_interactions: ClassVar[bool] = True

    search_space: ClassVar[SearchSpace] = {
        **TCE.search_space,
        "variance": Choices(1e-4, 1e-3, 1e-2, 0.1),
        "relabel_ratio": Choices(0.0, 0.05, 0.1),
    }

    def __init__(
        self,
        max_drop_rate: float = 0.2,
        num_gradual: int | float = 0.5,
        exponent: float = 1.0,
        scope: Scope = "batch",
        mean_over: MeanOver = "kept",
        window: int = 3,
        variance: float = 1e-3,
        relabel_ratio: float = 0.05,
    ):
        super().__init__(max_drop_rate, num_gradual, exponent, scope, mean_over)
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise ConfigError(f"window must be at least 1 epoch. Received: {window!r}.")
        if not 0 <= variance < 1:
            raise ConfigError(f"variance must lie in [0, 1). Received: {variance!r}.")
        if not 0 <= relabel_ratio <= 1:
            raise ConfigError(f"relabel_ratio must lie in [0, 1]. Received: {relabel_ratio!r}.")
        self.window = window
        self.variance = float(variance)
        self.relabel_ratio = float(relabel_ratio)

    def prepare(self, total_steps: int, positive_share: float) -> None:
        """Settles the ramp; refuses pairs, in which a click that is a negative cannot stand."""
        super().prepare(total_steps, positive_share)
        if positive_share == 1.0 and self.relabel_ratio:
            raise ConfigError(
                "DCF makes negatives of clicks, which an objective of positives alone has no place for. Expected "
                f"relabel_ratio = 0, or another objective. Received: {self.relabel_ratio:g}."
            )
        self._positive_share = positive_share

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:
        """Makes the state: of each interaction the damped loss of the last epochs, whether it was kept, and its label."""
        del num_users, num_items
        n = len(rows)
        require_memory(f"What DCF remembers of each of {n:,} interactions", (8 * self.window + 4) * n, "their number")
        self.damped = tf.Variable(tf.zeros([n, self.window]), trainable=False, name="damped")
        self.kept = tf.Variable(tf.zeros([n, self.window]), trainable=False, name="kept")
        self.label = tf.Variable(tf.ones(n), trainable=False, name="label")
        self._epoch = tf.Variable(0, trainable=False, dtype=tf.int64, name="epoch")

    @property
    def variables(self) -> list[tf.Variable]:
        """The damped losses, which epochs kept an interaction, and the labels."""
        return [self.damped, self.kept, self.label]

    def on_epoch_begin(self, epoch: int) -> None:
        """Notes the epoch, whose losses take the place of the oldest."""
        self._epoch.assign(epoch)

    def relabel(
        self, labels: tf.Tensor, known_positive: tf.Tensor | None, interactions: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns 0 for the clicks that have become negatives."""
        del known_positive
        if interactions is None:
            return labels, None
        return labels * tf.gather(self.label, tf.maximum(interactions, 0)), None

    def hardness(self, rows: Rows, step: tf.Tensor) -> tf.Tensor:
        """Returns the lower bound of each row's mean loss, float32 `[B]`; of a row of validation its damped loss."""
        del step
        own = damped(rows.loss)
        if rows.interactions is None:
            return own
        which = tf.maximum(rows.interactions, 0)
        # Without the slot of this epoch, which still holds what it had a window ago.
        others = 1.0 - tf.one_hot(self._epoch % self.window, self.window)
        total = tf.linalg.matvec(tf.gather(self.damped, which), others)
        times_kept = tf.linalg.matvec(tf.gather(self.kept, which), others)
        epochs = tf.cast(tf.minimum(self._epoch, self.window - 1) + 1, tf.float32)
        return self._lower_bound((total + own) / epochs, epochs, times_kept)

    def _lower_bound(self, mean: tf.Tensor, epochs: tf.Tensor, times_kept: tf.Tensor) -> tf.Tensor:
        v = self.variance
        bound = v * (epochs + v * tf.math.log(2.0 * epochs) / epochs**2) / (times_kept + 1.0 - v)
        return tf.nn.relu(mean - bound)

    def observe(self, rows: Rows, weights: tf.Tensor, step: tf.Tensor) -> None:
        """Notes the damped losses of the batch's clicks and which of them were kept; of relabelled ones nothing is noted."""
        del step
        assert rows.interactions is not None
        clicks = tf.where(rows.labels > 0.5, rows.interactions, -1)
        which, (loss, kept) = distinct(clicks, damped(rows.loss), tf.cast(weights > 0, tf.float32))
        slot = tf.fill(tf.shape(which), self._epoch % self.window)
        cell = tf.stack([which, slot], axis=1)
        for state, value in ((self.damped, loss), (self.kept, kept)):
            for copy in copies(state):
                copy.scatter_nd_update(cell, value)

    def on_epoch_end(self, epoch: int, model: Any) -> None:
        """Makes negatives of the clicks with the largest lower bounds, as many as are still due."""
        epochs = tf.constant(min(epoch + 1, self.window), tf.float32)
        label = self.label.numpy()
        share = self.dropped_share(self._positive_share, int(model.iteration))
        due = int(self.relabel_ratio * share * len(label)) - int(np.count_nonzero(label == 0))
        if due <= 0:
            return
        mean = tf.reduce_sum(self.damped, axis=1) / epochs
        bound = self._lower_bound(mean, epochs, tf.reduce_sum(self.kept, axis=1)).numpy()
        bound[label == 0] = -1.0
        label[np.argsort(-bound, kind="stable")[:due]] = 0.0
        self.label.assign(label)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        own = {"window": self.window, "variance": self.variance, "relabel_ratio": self.relabel_ratio}
        return {**super().get_config(), **own}


def damped(loss: tf.Tensor) -> tf.Tensor:
    """Returns `log(1 + l + l^2 / 2)`: as l where it is small, slower where it is large."""
    return tf.math.log1p(loss + 0.5 * tf.square(loss))
