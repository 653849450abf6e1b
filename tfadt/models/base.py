"""The one train step for every model, policy and objective: `sum(weights * loss) / divisor`, weights without gradient."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import InteractionData, Interactions
from tfadt.denoising.base import DenoisingPolicy
from tfadt.denoising.standard import Standard
from tfadt.errors import ConfigError, DataError
from tfadt.losses.objectives import get_objective
from tfadt.models.statistics import TrainingStatistics
from tfadt.models.stepping import Stepper, chunk_plan
from tfadt.optimizers.deferred_adam import DeferredAdam, is_deferred
from tfadt.optimizers.reads import DeferredReads
from tfadt.sampling.batches import Batch, BatchSource
from tfadt.sampling.negatives import NegativeSampler


class DenoisingModel(keras.Model):
    """A Keras model of (user, item) pairs that trains under a denoising policy.

    It trains on a data set through batches drawn on the device, or on `((users, items), labels)` as any Keras model does:
    both go through the same `train_step`.
    """

    needs_extra_feedback: ClassVar[bool] = False
    """Whether training needs to know which clicks are known to be liked."""

    @abstractmethod
    def batch_source(
        self, rows: Interactions, sampler: NegativeSampler, batch_size: int | None = None, num_negatives: int = 1
    ) -> BatchSource:
        """Returns the source of this model's training batches."""

    @abstractmethod
    def check_data(self, data: InteractionData) -> None:
        """Raises DataError if the model was not built for data of this size."""

    @abstractmethod
    def negative_sampler(self, data: InteractionData) -> NegativeSampler:
        """Returns the default sampler: uniform outside each user's training items."""

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

    def _hook(self) -> keras.callbacks.Callback:
        """Comes before all other callbacks: the policy's epochs, and rows up to date before anybody reads the end."""

        def end(logs: Any) -> None:
            if isinstance(self.optimizer, DeferredAdam):
                self.optimizer.bring_up_to_date()

        return keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: self.policy.on_epoch_begin(epoch), on_train_end=end
        )

    def training_rows(self, data: InteractionData) -> Interactions:
        """Returns the training split, with the known positives marked only if the model or its policy asks for them.

        Raises:
            DataError: If they do and there is no extra feedback.
        """
        if not (self.needs_extra_feedback or self.policy.needs_extra_feedback):
            return replace(data.train, known_positive=None)
        known = data.train.known_positive
        if known is None or not known.any():
            asking = type(self) if self.needs_extra_feedback else type(self.policy)
            raise DataError(
                f"{asking.__name__} needs extra feedback: training interactions that are known to be liked. Received: none "
                "(see ingest.extra_feedback)."
            )
        return data.train

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        num_negatives: int = 1,
        sampler: NegativeSampler | None = None,
        steps_per_call: int = 200,
        verbose: Any = 0,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains the model on the training split of a data set, negatives drawn on the device.

        Given anything but an `InteractionData`, this is `keras.Model.fit`.

        Args:
            x: The data set.
            y: Labels, when `x` is not a data set.
            batch_size: Rows a step (default 1,024), or users a step for CDAE (default 128).
            epochs: Passes over the training interactions.
            num_negatives: Negatives for each positive.
            sampler: Draws negatives; default uniform outside the user's training items.
            steps_per_call: Steps on the device between two callbacks.
            verbose: As in Keras.
            callbacks: As in Keras; a Keras "batch" is one call of up to `steps_per_call` steps.
            **kwargs: Further arguments of `keras.Model.fit`, when `x` is not a data set.

        Returns:
            Keras's history: loss, realised drop rate and, where feedback is known, the quality of the dropped set.

        Raises:
            ConfigError: If the model is not compiled or the policy cannot work with such batches.
            DataError: If there is nothing to train on, or no extra feedback where it is needed.
        """
        if not self.compiled:
            raise ConfigError("Call compile() before fit().")
        if not isinstance(x, InteractionData):
            self.optimizer.build(self.trainable_variables)
            if y is not None:
                horizon = int(self.iteration) + epochs * -(-len(y) // (batch_size or 32))
                self.policy.prepare(horizon, float(np.mean(y)))
                if isinstance(self.optimizer, DeferredAdam):
                    self.optimizer.prepare(horizon)
            self.make_train_function(force=True)
            return super().fit(x, y, batch_size, epochs, verbose, [self._hook(), *(callbacks or [])], **kwargs)
        if kwargs or y is not None:
            raise ConfigError(
                f"fit(data) takes no {', '.join(kwargs) or 'y'}: the data set has labels and splits of its own."
            )
        self.check_data(x)
        sampler = sampler or self.negative_sampler(x)
        source = self.batch_source(self.training_rows(x), sampler, batch_size, num_negatives)
        return self.fit_source(source, epochs, steps_per_call, verbose=verbose, callbacks=callbacks)

    def fit_source(
        self,
        source: BatchSource,
        epochs: int = 1,
        steps_per_call: int = 200,
        stops: Sequence[int] = (),
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
        if isinstance(self.optimizer, DeferredAdam):
            self.optimizer.prepare(horizon)
        self._statistics.has_feedback = source.has_feedback
        (first, count), calls_per_epoch = chunk_plan(source.steps_per_epoch, passes, steps_per_call, stops, first_step, done)
        cut_epoch = max(done - 1, 0) // source.steps_per_epoch
        left = slice(cut_epoch * calls_per_epoch, None)
        self.optimizer.build(self.trainable_variables)
        self.train_function = Stepper(source, self._train_on, self.get_metrics_result)
        return super().fit(
            tf.data.Dataset.from_tensor_slices((first[left], count[left])),
            epochs=epochs,
            initial_epoch=initial_epoch + cut_epoch,
            steps_per_epoch=calls_per_epoch,
            shuffle=False,
            verbose=verbose,
            callbacks=[self._hook(), *(callbacks or [])],
        )
