"""The one train step for every model, policy and objective, `sum(weights * loss) / divisor`, and the one loop around it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfadt.denoising.base import DenoisingPolicy, Rows
from tfadt.denoising.standard import Standard
from tfadt.errors import ConfigError
from tfadt.losses.objectives import get_objective
from tfadt.models.arguments import as_list
from tfadt.models.hooks import FitHook
from tfadt.models.statistics import TrainingStatistics
from tfadt.models.stepping import Stepper, chunk_plan
from tfadt.models.weights import EmbeddingModel
from tfadt.optimizers.deferred_adam import DeferredAdam
from tfadt.optimizers.steps import begin_step, prepare, sync
from tfadt.registry import POLICIES
from tfadt.sampling.batches import Batch, BatchSource

_NOT_COMPILED = {
    "loss": "the loss is the policy's and the objective's: compile(policy='t_ce', objective='bpr')",
    "metrics": "evaluate(data, k=20) and fit(data, validation_data=data) report the ranking metrics",
    "weighted_metrics": "evaluate(data, k=20) and fit(data, validation_data=data) report the ranking metrics",
    "loss_weights": "the weights of the rows are the policy's",
    "run_eagerly": "the steps of a call are one graph (tf.config.run_functions_eagerly(True) helps to debug a policy)",
    "jit_compile": "XLA is slow at batches of varying length",
    "steps_per_execution": "fit(data, steps_per_call=200) sets it",
}


class DenoisingModel(EmbeddingModel):
    """A Keras model of (user, item) pairs that trains under a denoising policy.

    Batches drawn on the device (`Recommender.fit`) and `((users, items), labels)`, as any Keras model takes them, go through
    the same `train_step`.
    """

    policy: DenoisingPolicy

    def compile(
        self,
        optimizer: Any = None,
        policy: DenoisingPolicy | str | None = None,
        objective: str = "binary_crossentropy",
        l2: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """Sets how the model trains.

        Args:
            optimizer: A Keras optimizer or its name; default `DeferredAdam` with learning rate .001 and the authors'
                epsilon 1e-8.
            policy: A denoising policy or its registered name, such as `"t_ce"`; default plain training.
            objective: `"binary_crossentropy"`, `"square"` or `"bpr"`.
            l2: Weight of the L2 penalty on the table rows that a step reads (`OptimizerStep.penalty`), at least 0.
            **kwargs: None: for what else Keras takes, the error says what to do here.

        Raises:
            ConfigError: If the objective or the policy is unknown, an argument does not apply, or a distribution strategy is
                in use.
        """
        for name, value in kwargs.items():
            if name not in _NOT_COMPILED:
                raise ConfigError(f"compile() takes optimizer, policy, objective and l2. Received: {name}={value!r}.")
            if value:
                raise ConfigError(f"compile() takes no {name}: {_NOT_COMPILED[name]}. Received: {name}={value!r}.")
        if tf.distribute.has_strategy():
            raise ConfigError("Models train on one device. Build and compile them outside of a distribution strategy.")
        if not l2 >= 0:
            raise ConfigError(f"l2 must be at least 0. Received: {l2}.")
        self.l2 = float(l2)
        self._objective = get_objective(objective)
        self.objective = objective
        self.policy = POLICIES.resolve(policy)() if isinstance(policy, str) else policy or Standard()
        self._statistics = TrainingStatistics()
        # No XLA: batches differ in length, and on a CPU it is slow at gathers, scatters and top-k.
        super().compile(optimizer=optimizer or DeferredAdam(1e-3, epsilon=1e-8), jit_compile=False)
        self.optimizer.build(self.trainable_variables)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns what `compile` was called with, serialised."""
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "policy": keras.saving.serialize_keras_object(self.policy),
            "objective": self.objective,
            "l2": self.l2,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a reloaded model as it was."""
        self.compile(
            optimizer=keras.saving.deserialize_keras_object(config["optimizer"]),
            policy=keras.saving.deserialize_keras_object(config["policy"]),
            objective=config["objective"],
            l2=config.get("l2", 0.0),  # files of before there was one
        )

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
        labels, importance = self.policy.relabel(batch.labels, batch.known_positive, batch.interactions)
        logits, loss = self.row_loss(batch._replace(labels=labels), training)
        still = tf.stop_gradient(loss), tf.stop_gradient(logits)
        rows = Rows(batch.users, batch.items, labels, *still, batch.known_positive, batch.false_positive, batch.interactions)
        weights, divisor = self.policy.weights(rows, self.iteration)
        if training:
            self.policy.observe(rows, weights, self.iteration)
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

    def train_on_batch(self, *args: Any, return_dict: bool = True, **kwargs: Any) -> Any:
        """Makes one step, as in Keras, and returns the statistics by name."""
        result = super().train_on_batch(*args, return_dict=return_dict, **kwargs)
        self.sync()
        return result

    def _train_on(self, batch: Batch) -> tf.Tensor:
        if not self.trainable_variables:
            warnings.warn("The model does not have any trainable weights: training changes nothing.", stacklevel=2)
        with tf.GradientTape() as tape:
            self._step = begin_step(self.optimizer, tape)
            try:
                value, loss, weights = self.batch_loss(batch, training=True)
            finally:
                step, self._step = self._step, None
            total = value + self.l2 * step.penalty() if self.l2 else value
        step.minimize(total, self.trainable_variables)
        self._statistics.update_state(batch, value, loss, weights)
        return total

    def _as_batch(self, data: Any) -> Batch:
        pairs, labels, weight = keras.utils.unpack_x_y_sample_weight(data)
        if not isinstance(pairs, tuple | list) or len(pairs) != 2 or labels is None:
            raise ConfigError("Expected an InteractionData or ((users, items), labels).")
        users, items = pairs
        if weight is not None:
            raise ConfigError("Sample weights are the policy's business. Expected ((users, items), labels).")
        if self.pairwise:
            raise ConfigError("BPR needs pairs, which fit(data) draws. Expected an InteractionData. Received: arrays.")
        if self.policy.remembers_interactions:
            raise ConfigError(
                f"{type(self.policy).__name__} remembers each interaction. Expected an InteractionData. Received: arrays."
            )
        return Batch(tf.cast(users, tf.int64), tf.cast(items, tf.int64), tf.cast(labels, tf.float32))

    def fit_source(
        self,
        source: BatchSource,
        epochs: int = 1,
        steps_per_call: int = 200,
        stops: Sequence[int] = (),
        looks: Sequence[int] = (),
        done: int = 0,
        verbose: Any = 0,
        callbacks: Any = None,
        initial_epoch: int = 0,
        horizon: int | None = None,
    ) -> keras.callbacks.History:
        """Trains on the batches of a source, through `keras.Model.fit`; the run goes on from the present iteration.

        A resumed run names with `done` how many of its steps lie behind the present iteration. The epoch in which it was cut
        is then begun again with what is left of its calls (none, if it was cut at its very end), so that its logs are those
        of the whole epoch once the statistics are what they were.

        Args:
            source: Draws the batches on the device.
            epochs: Passes over the source, those before `initial_epoch` counted.
            steps_per_call: Steps on the device between two callbacks.
            stops: Callbacks also run after each multiple of each of these numbers of steps.
            looks: Those of `stops` after whose multiples a callback reads the weights, as at the ends of epochs.
            done: Steps of this run that were made before.
            verbose: As in Keras.
            callbacks: As in Keras; a Keras "batch" is one call, `iteration` tells the step.
            initial_epoch: As in Keras: passes of another run, which this one goes on from.
            horizon: Steps of the whole run that the policy's schedule is settled for, where this is a part of it.

        Returns:
            Keras's history, as in `fit`.

        Raises:
            ConfigError: If the policy cannot work with such batches.
            DivergedError: If the loss of a step is not finite.
        """
        first_step = int(self.iteration) - done
        passes = epochs - initial_epoch
        horizon = horizon or first_step + source.steps_per_epoch * passes
        self.policy.prepare(horizon, source.positive_share)
        prepare(self.optimizer, horizon)
        self._statistics.has_feedback = source.has_feedback
        (first, count), calls_per_epoch = chunk_plan(source.steps_per_epoch, passes, steps_per_call, stops, first_step, done)
        cut_epoch = max(done - 1, 0) // source.steps_per_epoch
        left = slice(cut_epoch * calls_per_epoch, None)
        self.train_function = Stepper(source, self._train_on, self.get_metrics_result)
        others = as_list(callbacks)

        def due(step: int) -> bool:
            return (step - first_step) % source.steps_per_epoch == 0 or any(step % every == 0 for every in looks)

        return self._fit(
            tf.data.Dataset.from_tensor_slices((first[left], count[left])),
            epochs=epochs,
            initial_epoch=initial_epoch + cut_epoch,
            steps_per_epoch=calls_per_epoch,
            shuffle=False,
            verbose=verbose,
            callbacks=[FitHook(others, due), *others],
        )

    def _fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        try:
            return super().fit(*args, **kwargs)
        except BaseException:
            self.sync()  # whoever looks at a model whose training was stopped
            raise

    def sync(self) -> None:
        """Brings the embedding rows that rest under `DeferredAdam` to where dense training would have them.

        `fit` and `train_on_batch` do this wherever anybody can look. A loop of one's own that calls `train_step` has to.
        """
        sync(self.optimizer)
