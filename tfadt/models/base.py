"""The base of all recommenders: one train step for every model, policy and objective, and the common ways to score."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import CSR, InteractionData, Interactions
from tfadt.denoising.base import DenoisingPolicy
from tfadt.denoising.standard import Standard
from tfadt.errors import ConfigError
from tfadt.evaluation.ranking import Ranker, Ranking
from tfadt.losses.objectives import get_objective
from tfadt.models.statistics import TrainingStatistics
from tfadt.models.stepping import chunk_plan, make_stepper
from tfadt.sampling.batches import Batch, BatchSource, PairSource
from tfadt.sampling.negatives import NegativeSampler


class Recommender(keras.Model):
    """A model of user-item preference, trained on observed interactions and sampled negatives.

    A subclass makes its weights in `__init__` and implements `call`, `score_users`, `user_representation` and
    `get_config`; training, denoising, evaluation and saving are here. Inputs are integer codes, as in `InteractionData`.

    The items of each user's training history are weights of the model (int64, not trained): they travel with it, so that
    a reloaded model can leave seen items out and CDAE can read its input.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        history_size: Total number of items in all histories.
        seed: Seed of the initial weights and of every draw in training.
        **kwargs: As in `keras.Model`.
    """

    user_batches: ClassVar[bool] = False
    """Whether a step trains all rows of a few users rather than rows of all users."""

    def __init__(self, num_users: int, num_items: int, history_size: int = 0, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_users = int(num_users)
        self.num_items = int(num_items)
        self.history_size = int(history_size)
        self.seed = int(seed)
        self._initializers_made = 0
        self.history_offsets = self.add_weight(
            name="history_offsets", shape=(num_users + 1,), dtype="int64", initializer="zeros", trainable=False
        )
        self.history_items = self.add_weight(
            name="history_items", shape=(history_size,), dtype="int64", initializer="zeros", trainable=False
        )

    @classmethod
    def from_interactions(cls, data: InteractionData, **settings: Any) -> Recommender:
        """Builds the model for a data set: its sizes and its users' training histories.

        Args:
            data: What `ingest` returned.
            **settings: Further arguments of the constructor, such as `embedding_dim`.
        """
        history = data.history()
        model = cls(data.num_users, data.num_items, history_size=len(history.items), **settings)
        model.history_offsets.assign(history.offsets)
        model.history_items.assign(history.items)
        return model

    # ------------------------------------------------------------------ what a model implements

    @abstractmethod
    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the logits of (user, item) pairs.

        Args:
            inputs: `(users, items)`, int64 `[B]` each.
            training: Whether a train step asks.

        Returns:
            float32 `[B]`.
        """

    @abstractmethod
    def score_users(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the logits of all items for the users int64 `[B]`: float32 `[B, num_items]`."""

    @abstractmethod
    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the users' vectors, float32 `[B, d]`: the space E of colliding inference (the paper's eq. 8)."""

    # ------------------------------------------------------------------ scoring

    def score_pairs(self, users: Any, items: Any) -> tf.Tensor:
        """Returns the logits of the pairs `(users[i], items[i])`: float32 `[B]`."""
        return self((tf.convert_to_tensor(users, tf.int64), tf.convert_to_tensor(items, tf.int64)), training=False)

    @property
    def seen(self) -> CSR:
        """The training items of each user."""
        return CSR(np.asarray(self.history_offsets), np.asarray(self.history_items))

    def recommend(self, users: Any, k: int, exclude_seen: bool = True) -> Ranking:
        """Returns the k best items of each user.

        Args:
            users: int `[B]`, user codes.
            k: How many.
            exclude_seen: Leave out the items of the user's training history.

        Raises:
            ConfigError: If `k` is below 1 or a user code is out of range.
        """
        codes = np.atleast_1d(np.asarray(users, np.int64))
        if k < 1:
            raise ConfigError(f"k must be at least 1. Received: {k}.")
        if codes.size and not (0 <= codes.min() and codes.max() < self.num_users):
            raise ConfigError(
                f"User codes must lie in 0 .. {self.num_users - 1} (encode ids with data.users.encode). "
                f"Received: {codes.min()} .. {codes.max()}."
            )
        return Ranker(self, k, self.seen if exclude_seen else None)(codes)

    # ------------------------------------------------------------------ training

    def compile(
        self,
        optimizer: Any = None,
        policy: DenoisingPolicy | None = None,
        objective: str = "binary_crossentropy",
    ) -> None:
        """Sets how the model trains.

        Args:
            optimizer: A Keras optimizer or its name; default Adam with learning rate .001.
            policy: A denoising policy; default plain training.
            objective: `"binary_crossentropy"`, `"square"` or `"bpr"`.

        Raises:
            ConfigError: If the objective is unknown.
        """
        self._objective = get_objective(objective)
        self.objective = objective
        self.policy = policy or Standard()
        self._statistics = TrainingStatistics()
        # XLA is slower here on a CPU: gathers, scatters and top-k (measured; see docs/performance.md).
        super().compile(optimizer=optimizer or keras.optimizers.Adam(1e-3), jit_compile=False)

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
        if batch.negatives is None:
            return tf.cast(self((batch.users, batch.items), training=training), tf.float32)
        both = self(
            (tf.concat([batch.users, batch.users], 0), tf.concat([batch.items, batch.negatives], 0)), training=training
        )
        observed, sampled = tf.split(tf.cast(both, tf.float32), 2)
        return observed - sampled

    def batch_loss(self, batch: Batch, training: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the policy's loss of a batch, the objective's loss of each row, and the rows' weights.

        This is the whole of denoising training: `sum(weights * loss) / divisor` (the paper's eqs. 2 and 4), with weights
        that carry no gradient.
        """
        logits = self.logits(batch, training)
        loss = self._objective.loss(batch.labels, logits)
        weights, divisor = self.policy.weights(
            tf.stop_gradient(loss), tf.stop_gradient(logits), batch.labels, batch.users, batch.items, self.iteration
        )
        total = tf.reduce_sum(tf.stop_gradient(weights) * loss)
        return tf.math.divide_no_nan(total, divisor), loss, weights

    def train_step(self, data: Any) -> dict[str, Any]:
        """Makes one step on a `Batch`, or on Keras's `((users, items), labels)`."""
        self._train_on(data if isinstance(data, Batch) else _as_batch(data))
        return self.get_metrics_result()

    def test_step(self, data: Any) -> dict[str, Any]:
        """Measures the loss of one batch without training on it."""
        batch = data if isinstance(data, Batch) else _as_batch(data)
        self._statistics.update_state(batch, *self.batch_loss(batch))
        return self.get_metrics_result()

    def _train_on(self, batch: Batch) -> None:
        with tf.GradientTape() as tape:
            value, loss, weights = self.batch_loss(batch, training=True)
            scaled = self.optimizer.scale_loss(value)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
        self._statistics.update_state(batch, value, loss, weights)

    def batch_source(
        self,
        rows: Interactions,
        sampler: NegativeSampler,
        batch_size: int | None = None,
        num_negatives: int = 1,
    ) -> BatchSource:
        """Returns the source of this model's training batches."""
        return PairSource(
            rows,
            sampler,
            batch_size=batch_size or 1024,
            num_negatives=num_negatives,
            pairwise=self.pairwise,
            seed=self.seed,
        )

    def fit(  # type: ignore[override]
        self,
        x: Any = None,
        y: Any = None,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        num_negatives: int = 1,
        sampler: NegativeSampler | None = None,
        steps_per_call: int = 200,
        stop_every: int | None = None,
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
            stop_every: Callbacks also run after each multiple of this many steps; default: no more than
                `steps_per_call` asks for.
            verbose: As in Keras.
            callbacks: As in Keras; a Keras "batch" is one call, `model.iteration` tells the step.
            **kwargs: Further arguments of `keras.Model.fit`, when `x` is not a data set.

        Returns:
            Keras's history: loss, realised drop rate and, where feedback is known, the quality of the dropped set.

        Raises:
            ConfigError: If the model is not compiled or the policy cannot work with such batches.
            DataError: If there is nothing to train on.
        """
        if not self.compiled:
            raise ConfigError("Call compile() before fit().")
        if not isinstance(x, InteractionData):
            self.make_train_function(force=True)
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)
        sampler = sampler or NegativeSampler(x.history(), self.num_items, seed=self.seed)
        source = self.batch_source(x.train, sampler, batch_size, num_negatives)
        first_step = int(self.iteration)
        self.policy.prepare(first_step + source.steps_per_epoch * epochs, source.positive_share)
        self._statistics.has_feedback = source.has_feedback
        calls, calls_per_epoch = chunk_plan(
            source.steps_per_epoch, epochs, steps_per_call, stop_every, first_step
        )
        self.train_function = make_stepper(self, source)
        hook = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: self.policy.on_epoch_begin(epoch))
        return super().fit(
            tf.data.Dataset.from_tensor_slices(calls),
            epochs=epochs,
            steps_per_epoch=calls_per_epoch,
            shuffle=False,
            verbose=verbose,
            callbacks=[hook, *(callbacks or [])],
        )

    # ------------------------------------------------------------------ weights and configuration

    def add_table(self, name: str, rows: int, dim: int, initializer: Any = None) -> keras.Variable:
        """Makes an embedding table `[rows, dim]`, by default N(0, .01)."""
        initializer = initializer or keras.initializers.RandomNormal(stddev=0.01, seed=self.initializer_seed())
        # autocast would cast the whole table at each use under mixed precision; `lookup` casts the rows read.
        return self.add_weight(name=f"{name}_table", shape=(rows, dim), initializer=initializer, autocast=False)

    def add_output(self, fan_in: int) -> tuple[keras.Variable, keras.Variable]:
        """Makes the output layer: a kernel `[fan_in, 1]`, uniform in +-sqrt(3 / fan_in), and a bias `[1]` of zeros."""
        uniform = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform", seed=self.initializer_seed())
        kernel = self.add_weight(name="output_kernel", shape=(fan_in, 1), initializer=uniform)
        return kernel, self.add_weight(name="output_bias", shape=(1,), initializer="zeros")

    def lookup(self, table: keras.Variable, ids: tf.Tensor) -> tf.Tensor:
        """Returns the rows of a table, `[n, dim]`, in the compute dtype."""
        return tf.cast(tf.gather(table.value, ids), self.compute_dtype)

    @staticmethod
    def project(features: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        """Returns `features . kernel + bias` as float32 `[n]`."""
        return tf.cast((tf.matmul(features, kernel) + bias)[:, 0], tf.float32)

    def initializer_seed(self) -> int:
        """Returns a fresh seed for the next weight, derived from the model's."""
        self._initializers_made += 1
        return (self.seed * 1_000_003 + self._initializers_made) % (2**31)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_users": self.num_users,
            "num_items": self.num_items,
            "history_size": self.history_size,
            "seed": self.seed,
        }


def _as_batch(data: Any) -> Batch:
    (users, items), labels, weight = keras.utils.unpack_x_y_sample_weight(data)
    if weight is not None:
        raise ConfigError("Sample weights are the policy's business. Expected ((users, items), labels).")
    return Batch(tf.cast(users, tf.int64), tf.cast(items, tf.int64), tf.cast(labels, tf.float32))
