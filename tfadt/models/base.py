"""The one train step for every model, policy and objective: `sum(weights * loss) / divisor`, weights without gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
import tensorflow as tf

from tfadt.denoising.base import DenoisingPolicy
from tfadt.denoising.standard import Standard
from tfadt.errors import ConfigError
from tfadt.losses.objectives import get_objective
from tfadt.models.statistics import TrainingStatistics
from tfadt.optimizers.deferred_adam import DeferredAdam, is_deferred
from tfadt.optimizers.reads import DeferredReads
from tfadt.sampling.batches import Batch


class DenoisingModel(keras.Model):
    """A Keras model of (user, item) pairs that trains under a denoising policy.

    Batches drawn on the device (`FittingModel`) and `((users, items), labels)`, as any Keras model takes them, go through
    the same `train_step`.
    """

    def compile(
        self,
        optimizer: Any = None,
        policy: DenoisingPolicy | None = None,
        objective: str = "binary_crossentropy",
    ) -> None:
        """Sets how the model trains.

        Args:
            optimizer: A Keras optimizer or its name; default `DeferredAdam` with learning rate .001 and the authors'
                epsilon 1e-8.
            policy: A denoising policy; default plain training.
            objective: `"binary_crossentropy"`, `"square"` or `"bpr"`.

        Raises:
            ConfigError: If the objective is unknown.
        """
        self._objective = get_objective(objective)
        self.objective = objective
        self.policy = policy or Standard()
        self._statistics = TrainingStatistics()
        self._reads: DeferredReads | None = None
        # No XLA: batches differ in length, and on a CPU it is slow at gathers, scatters and top-k.
        super().compile(optimizer=optimizer or DeferredAdam(1e-3, epsilon=1e-8), jit_compile=False)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns what `compile` was called with, serialised."""
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "policy": keras.saving.serialize_keras_object(self.policy),
            "objective": self.objective,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a reloaded model as it was."""
        self.compile(
            optimizer=keras.saving.deserialize_keras_object(config["optimizer"]),
            policy=keras.saving.deserialize_keras_object(config["policy"]),
            objective=config["objective"],
        )
        self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The statistics of training, one metric that reports several values."""
        return [self._statistics] if hasattr(self, "_statistics") else []

    @property
    def pairwise(self) -> bool:
        """Whether the objective's rows are (positive, negative) pairs."""
        return self._objective.pairwise

    @property
    def iteration(self) -> tf.Tensor:
        """The training iteration T of this stage, an int64 scalar: steps that the optimizer has made."""
        return tf.cast(self.optimizer.iterations, tf.int64)

    def logits(self, batch: Batch, training: bool = False) -> tf.Tensor:
        """Returns the logit of each row: of the pair, or with negatives the margin between the two items."""
        return batch.per_row(tf.cast(self(batch.pairs, training=training), tf.float32))

    def row_loss(self, batch: Batch, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the logit and the objective's loss of each row; a model of several heads combines theirs here."""
        logits = self.logits(batch, training)
        return logits, self._objective.loss(batch.labels, logits)

    def batch_loss(self, batch: Batch, training: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the policy's loss of a batch, the objective's loss of each row, and the rows' weights.

        This is the whole of denoising training: `sum(weights * loss) / divisor` (the paper's eqs. 2 and 4), with weights
        that carry no gradient.
        """
        labels, importance = self.policy.relabel(batch.labels, batch.known_positive)
        logits, loss = self.row_loss(batch._replace(labels=labels), training)
        weights, divisor = self.policy.weights(
            tf.stop_gradient(loss), tf.stop_gradient(logits), labels, batch.users, batch.items, self.iteration
        )
        if importance is not None:
            weights *= importance
        total = tf.reduce_sum(tf.stop_gradient(weights) * loss)
        return tf.math.divide_no_nan(total, divisor), loss, weights

    def train_step(self, data: Any) -> dict[str, Any]:
        """Makes one step on a `Batch`, or on Keras's `((users, items), labels)`."""
        self._train_on(data if isinstance(data, Batch) else self._as_batch(data))
        return self.get_metrics_result()

    def test_step(self, data: Any) -> dict[str, Any]:
        """Measures the loss of one batch without training on it."""
        batch = data if isinstance(data, Batch) else self._as_batch(data)
        self._statistics.update_state(batch, *self.batch_loss(batch))
        return self.get_metrics_result()

    def _train_on(self, batch: Batch) -> tf.Tensor:
        deferred = isinstance(self.optimizer, DeferredAdam)
        with tf.GradientTape() as tape:
            self._reads = DeferredReads(self.optimizer, tape) if deferred else None
            value, loss, weights = self.batch_loss(batch, training=True)
            scaled = self.optimizer.scale_loss(value)
        reads, self._reads = self._reads, None
        variables = [v for v in self.trainable_variables if not (deferred and is_deferred(v))]
        rows = [] if reads is None else reads.weights
        gradients = tape.gradient(scaled, [*variables, *rows])
        if reads is not None:
            reads.update(gradients[len(variables) :])
        if variables:
            # Dense on purpose: Keras's Adam (3.15) squares the repeated rows of an IndexedSlices one by one, where the
            # square of their sum belongs into the velocity.
            self.optimizer.apply([tf.convert_to_tensor(g) for g in gradients[: len(variables)]], variables)
        else:
            self.optimizer.count_step()
        self._statistics.update_state(batch, value, loss, weights)
        return value

    def _as_batch(self, data: Any) -> Batch:
        (users, items), labels, weight = keras.utils.unpack_x_y_sample_weight(data)
        if weight is not None:
            raise ConfigError("Sample weights are the policy's business. Expected ((users, items), labels).")
        if self.pairwise:
            raise ConfigError("BPR needs pairs, which fit(data) draws. Expected an InteractionData. Received: arrays.")
        return Batch(tf.cast(users, tf.int64), tf.cast(items, tf.int64), tf.cast(labels, tf.float32))

    def load_weights(self, filepath: Any, **kwargs: Any) -> None:
        """Reads a weights file, as in Keras, and the optimizer's state with it; embedding rows come out up to date."""
        super().load_weights(filepath, **kwargs)
        if isinstance(self.optimizer, DeferredAdam) and self.optimizer.built:
            self.optimizer.bring_up_to_date()  # the file may have been written in the midst of training

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Within this, in the midst of training, every embedding row is as dense Adam would have it; no bit changes."""
        with self.optimizer.looking() if isinstance(self.optimizer, DeferredAdam) else nullcontext():
            yield
