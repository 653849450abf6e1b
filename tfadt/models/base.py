"""The one train step for every model, policy and objective, `sum(weights * loss) / divisor`, and the one loop around it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfadt.denoising.base import DenoisingPolicy, Rows
from tfadt.denoising.standard import Standard
from tfadt.errors import ConfigError, DeviceError
from tfadt.losses.objectives import Objective, get_objective
from tfadt.losses.shared import Contrast, SharedLoss, pointwise, softmax
from tfadt.models.arguments import as_list
from tfadt.models.hooks import FitHook
from tfadt.models.statistics import TrainingStatistics
from tfadt.models.stepping import Stepper, chunk_plan
from tfadt.models.weights import EmbeddingModel
from tfadt.optimizers.deferred_adam import DeferredAdam
from tfadt.optimizers.steps import OptimizerStep, begin_step, prepare, sync
from tfadt.registry import POLICIES
from tfadt.sampling.batches import Batch, BatchSource
from tfadt.sampling.replicas import Replicas, Share, check_in_step, check_strategy, keeps_copies

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

    user_batches: ClassVar[bool] = False
    """Whether a step trains all rows of a few users rather than rows of all users."""
    shared_negatives: ClassVar[bool] = False
    """Whether logits are products of vectors, which `factors` gives: then all rows of a batch can share negatives."""
    whole_catalogue: ClassVar[bool] = False
    """Whether the softmax is over all items rather than over shared negatives."""

    def compile(
        self,
        optimizer: Any = None,
        policy: DenoisingPolicy | str | None = None,
        objective: str = "binary_crossentropy",
        l2: float = 0.0,
        negative_weight: float = 4.0,
        **kwargs: Any,
    ) -> None:
        """Sets how the model trains.

        Args:
            optimizer: A Keras optimizer or its name; default `DeferredAdam` with learning rate .001 and the authors'
                epsilon 1e-8.
            policy: A denoising policy or its registered name, such as `"t_ce"`; default plain training.
            objective: `"binary_crossentropy"`, `"square"`, `"bpr"` or, against shared negatives or all items, `"softmax"`.
            l2: Weight of the L2 penalty on the table rows that a step reads (`OptimizerStep.penalty`), at least 0.
            negative_weight: What shared negatives weigh together, a positive weighing 1, at least 0; of no account under the
                softmax and for negatives by row.
            **kwargs: None: for what else Keras takes, the error says what to do here.

        Raises:
            ConfigError: If the objective or the policy is unknown, the model does not take the objective, an argument does
                not apply, or the model was made in the scope of another distribution strategy, or of one that does not
                keep a copy of the model on each device.
        """
        for name, value in kwargs.items():
            if name not in _NOT_COMPILED:
                raise ConfigError(
                    f"compile() takes optimizer, policy, objective, l2 and negative_weight. Received: {name}={value!r}."
                )
            if value:
                raise ConfigError(f"compile() takes no {name}: {_NOT_COMPILED[name]}. Received: {name}={value!r}.")
        check_strategy(self.strategy, optimizer)
        if not l2 >= 0:
            raise ConfigError(f"l2 must be at least 0. Received: {l2}.")
        if not negative_weight >= 0:
            raise ConfigError(f"negative_weight must be at least 0. Received: {negative_weight}.")
        self.l2 = float(l2)
        self.negative_weight = float(negative_weight)
        if get_objective(objective).listwise:
            self.check_shared(f"the objective '{objective}'")
        self.objective = objective
        self.policy = POLICIES.resolve(policy)() if isinstance(policy, str) else policy or Standard()
        with self.strategy.scope():
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
            "negative_weight": self.negative_weight,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a reloaded model as it was."""
        self.compile(
            optimizer=keras.saving.deserialize_keras_object(config["optimizer"]),
            policy=keras.saving.deserialize_keras_object(config["policy"]),
            objective=config["objective"],
            # Files of before there were these have none.
            **{name: config[name] for name in ("l2", "negative_weight") if name in config},
        )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The statistics of training, one metric that reports several values."""
        return [self._statistics] if hasattr(self, "_statistics") else []

    @property
    def _objective(self) -> Objective:
        if not self.compiled:
            raise ConfigError("Call compile() first: the objective says what rows and negatives are.")
        return get_objective(self.objective)

    @property
    def pairwise(self) -> bool:
        """Whether the objective's rows are (positive, negative) pairs.

        Raises:
            ConfigError: If the model is not compiled.
        """
        return self._objective.pairwise

    @property
    def listwise(self) -> bool:
        """Whether the objective's rows are positives against shared negatives or all items.

        Raises:
            ConfigError: If the model is not compiled.
        """
        return self._objective.listwise

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

    @classmethod
    def check_shared(cls, asking: str) -> None:
        """Raises ConfigError if the model takes no shared negatives, which `asking` needs."""
        if not cls.shared_negatives:
            raise ConfigError(
                f"{cls.__name__} scores pair by pair, not by one matrix product, so it takes no shared negatives and not "
                f"{asking}. Expected negatives by row (uniform or popularity) and binary_crossentropy, square or bpr."
            )

    def factors(self, users: tf.Tensor, items: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns what the logits of a train step are the products of, for models with `shared_negatives`.

        Args:
            users: int64 `[U]`, distinct.
            items: int64 `[n]`, repeats welcome.
            training: Whether a train step asks.

        Returns:
            `(user_vectors, item_vectors, biases)`, `[U, d]`, `[n, d]` and `[n]`: the logit of a pair is the product of its
            vectors and the item's bias.
        """
        raise NotImplementedError(f"{type(self).__name__} takes no shared negatives.")

    def contrast(self, batch: Batch, training: bool = False) -> Contrast:
        """Returns the logits of a batch of positives and of the shared items, or all items, that they stand against.

        Over several replicas each looks up a part of these items, and all score against the vectors of all.
        """
        distinct, owner = tf.unique(batch.users, out_idx=tf.int64)
        replicas = Replicas()
        if batch.shared is None:
            users, own_vectors, own_biases = self.factors(distinct, replicas.part(self.every_item()), training)
            vectors, biases = replicas.join(own_vectors), replicas.join(own_biases)
            logits = tf.cast(tf.matmul(users, vectors, transpose_b=True) + biases, tf.float32)
            positive = tf.gather(tf.reshape(logits, [-1]), owner * self.num_items + batch.items)
            return Contrast(positive, logits, owner, tf.ones_like(batch.items, tf.bool))
        looked_up = replicas.part(batch.shared)
        sizes = [tf.size(batch.items), tf.size(looked_up)]
        users, vectors, biases = self.factors(distinct, tf.concat([batch.items, looked_up], 0), training)
        (own, others), (own_biases, other_biases) = tf.split(vectors, sizes), tf.split(biases, sizes)
        others, other_biases = replicas.join(others), replicas.join(other_biases)
        positive = tf.reduce_sum(tf.gather(users, owner) * own, axis=1) + own_biases
        logits = tf.matmul(users, others, transpose_b=True) + other_biases
        place = tf.searchsorted(batch.shared, batch.items, out_type=tf.int64)
        drawn = tf.equal(tf.gather(batch.shared, tf.minimum(place, tf.size(batch.shared, tf.int64) - 1)), batch.items)
        return Contrast(tf.cast(positive, tf.float32), tf.cast(logits, tf.float32), owner, drawn)

    def every_item(self) -> tf.Tensor:
        """Returns the codes of all items, int64 `[num_items]`."""
        return tf.cumsum(tf.ones([self.num_items], tf.int64), exclusive=True)

    def shared_loss(self, batch: Batch, training: bool = False) -> SharedLoss:
        """Returns the log odds and the loss of each positive, and what its shared negatives add beside the rows."""
        contrast = self.contrast(batch, training)
        if self._objective.listwise:
            return softmax(contrast)
        return pointwise(contrast, self._objective, self.negative_weight)

    def batch_loss(self, batch: Batch, step: OptimizerStep | None = None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the policy's loss of a batch, the objective's loss of each row, and the rows' weights.

        This is the whole of denoising training: `sum(weights * loss) / divisor` (the paper's eqs. 2 and 4), with weights
        that carry no gradient. Shared negatives are no rows: what they cost is added as it is.

        Over several replicas each computes the losses of its share of the rows, and the policy sees those of the whole
        batch.

        Args:
            batch: The rows.
            step: The train step that is being made; None to measure alone.

        Returns:
            What the rows of this replica add to the policy's loss, a float32 scalar; the loss of each row of the batch and
            its weight, float32 `[B]`, which carry no gradient.
        """
        training, listwise = step is not None, self.listwise or batch.shared is not None
        share = Share(batch, self.user_batches or listwise)
        labels, importance = self.policy.relabel(batch.labels, batch.known_positive, batch.interactions)
        beside = None
        self._making.step = step
        try:
            if listwise:
                logits, loss, beside = self.shared_loss(share.batch(batch), training)
            else:
                logits, loss = self.row_loss(share.batch(batch._replace(labels=labels)), training)
        finally:
            self._making.step = None
        all_losses, all_logits = share.whole((loss, logits))
        rows = Rows(
            batch.users,
            batch.items,
            labels,
            all_losses,
            all_logits,
            batch.known_positive,
            batch.false_positive,
            batch.interactions,
        )
        weights, divisor = self.policy.weights(rows, self.iteration)
        if training:
            self.policy.observe(rows, weights, self.iteration)
        if importance is not None:
            weights *= importance
        weights = tf.stop_gradient(weights)
        total = tf.math.divide_no_nan(tf.reduce_sum(share.of(weights) * loss), divisor)
        return total if beside is None else total + beside, all_losses, weights

    def train_step(self, data: Any) -> dict[str, Any]:
        """Makes one step on a `Batch`, or on Keras's `((users, items), labels)`, which one device alone takes."""
        if keeps_copies(self.strategy) and not isinstance(data, Batch):
            raise ConfigError(
                "A model of a distribution strategy draws its batches itself. Expected an InteractionData. Received: arrays."
            )
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
            step = begin_step(self.optimizer, tape)
            value, loss, weights = self.batch_loss(batch, step)
            total = value + self.l2 * step.penalty() if self.l2 else value
        step.minimize(total, self.trainable_variables)
        value, total = Replicas().sum((value, total))
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
        if self.listwise:
            raise ConfigError("The softmax needs positives alone, as fit(data) draws them. Expected an InteractionData.")
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
            DataError: If workers begin at different steps.
            DeviceError: If a device or a worker was lost.
            DivergedError: If the loss of a step is not finite.
        """
        check_in_step(self.strategy, int(self.iteration))
        first_step = int(self.iteration) - done
        passes = epochs - initial_epoch
        horizon = horizon or first_step + source.steps_per_epoch * passes
        self.policy.prepare(horizon, source.positive_share)
        with self.strategy.scope():
            prepare(self.optimizer, horizon)
        self._statistics.has_feedback = source.has_feedback
        (first, count), calls_per_epoch = chunk_plan(source.steps_per_epoch, passes, steps_per_call, stops, first_step, done)
        cut_epoch = max(done - 1, 0) // source.steps_per_epoch
        left = slice(cut_epoch * calls_per_epoch, None)
        self.train_function = Stepper(source, self._train_on, self.get_metrics_result, self.strategy)
        others = as_list(callbacks)

        def due(step: int) -> bool:
            return (step - first_step) % source.steps_per_epoch == 0 or any(step % every == 0 for every in looks)

        # Else a thread of tf.data sleeps for longer and longer (10 ms, 20, ... a minute) between two looks for what it could
        # tune, and the end of fit() waits until it wakes: up to as long as the training took.
        options = tf.data.Options()
        options.autotune.enabled = False
        return self._fit(
            tf.data.Dataset.from_tensor_slices((first[left], count[left])).with_options(options),
            epochs=epochs,
            initial_epoch=initial_epoch + cut_epoch,
            steps_per_epoch=calls_per_epoch,
            shuffle=False,
            verbose=verbose,
            callbacks=[FitHook(others, due), *others],
        )

    @property
    def distribute_strategy(self) -> tf.distribute.Strategy:
        """The strategy of Keras's own loops, which is none: the train function spreads its steps over `strategy`."""
        return tf.distribute.get_strategy()

    def _fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        if tf.distribute.has_strategy():
            raise ConfigError("Call fit() outside of the scope of the distribution strategy, which the model knows.")
        try:
            return super().fit(*args, **kwargs)
        except (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError) as error:
            # In the midst of a step: some tables are moved and some are not, so nobody is to look at them.
            raise DeviceError(
                f"A device or a worker that shares the training was lost after step {int(self.iteration)} "
                f"({type(error).__name__}). The weights in memory are of no use. Train again, or go on from the last "
                "checkpoint."
            ) from error
        except BaseException:
            self.sync()  # whoever looks at a model whose training was stopped
            raise

    def sync(self) -> None:
        """Brings the embedding rows that rest under `DeferredAdam` to where dense training would have them.

        `fit` and `train_on_batch` do this wherever anybody can look. A loop of one's own that calls `train_step` has to.
        """
        sync(self.optimizer)
