"""The base of all recommenders: sizes, histories, the common ways to score, and the weights that models are made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import CSR, InteractionData, Interactions
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.ranking import Ranker, Ranking, RankingEvaluator
from tfadt.memory import require_memory
from tfadt.models.arguments import as_list, at_least_one, check_arrays
from tfadt.models.hooks import FitHook, RankingValidation
from tfadt.models.identified import IdentifiedModel
from tfadt.models.stepping import Stepper, chunk_plan
from tfadt.optimizers.steps import prepare
from tfadt.sampling.batches import BatchSource, PairSource
from tfadt.sampling.negatives import NegativeSampler
from tfadt.search_space import SearchSpace

_BLOCK_USERS = 8192


class Recommender(IdentifiedModel):
    """A model of user-item preference, trained on observed interactions and sampled negatives.

    A subclass makes its weights in `__init__` and implements `call`, `user_representation`, `score_vectors` and
    `get_config`; training, denoising, evaluation and saving are here. `recommend` and `similar_items` take and give ids,
    which the model keeps and saves; everything else takes integer codes, as in `InteractionData`.

    The items of each user's training history are weights of the model (int64, not trained): they travel with it, so that
    a reloaded model can leave seen items out and CDAE can read its input.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        history_size: Total number of items in all histories.
        seed: Seed of the initial weights and of every draw in training.
        **kwargs: As in `keras.Model`.
    """

    needs_extra_feedback: ClassVar[bool] = False
    """Whether training needs to know which clicks are known to be liked."""
    user_batches: ClassVar[bool] = False
    """Whether a step trains all rows of a few users rather than rows of all users."""
    search_space: ClassVar[SearchSpace] = {}
    """What a search tries for the constructor's arguments."""

    affine_scores: ClassVar[bool] = False
    """Whether `score_vectors` is affine: then a mixture of users' logits is the logits of the mixture of their vectors."""

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
        model.users, model.items = data.users, data.items
        return model

    # --- what a model implements

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
    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the users' vectors, float32 `[B, d]`: the space E of colliding inference (the paper's eq. 8)."""

    @abstractmethod
    def score_vectors(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the logits of all items for users of these vectors float32 `[B, d]`: float32 `[B, num_items]`."""

    # --- scoring

    def score_users(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the logits of all items for the users int64 `[B]`: float32 `[B, num_items]`."""
        return self.score_vectors(self.user_representation(users))

    def score_pairs(self, users: Any, items: Any) -> tf.Tensor:
        """Returns the logits of the pairs `(users[i], items[i])`: float32 `[B]`."""
        return self((tf.convert_to_tensor(users, tf.int64), tf.convert_to_tensor(items, tf.int64)), training=False)

    def item_vectors(self) -> tf.Tensor:
        """Returns the vectors of all items, float32 `[num_items, d]`; by default those of `item_table`."""
        return tf.convert_to_tensor(self.item_table.value)

    def user_space(self) -> np.ndarray:
        """Returns the vectors of all users, float32 `[num_users, d]`."""
        starts = range(0, self.num_users, _BLOCK_USERS)
        blocks = [tf.range(first, min(first + _BLOCK_USERS, self.num_users), dtype=tf.int64) for first in starts]
        return np.concatenate([self.user_representation(users).numpy() for users in blocks])

    @property
    def seen(self) -> CSR:
        """The training items of each user."""
        return CSR(self.history_offsets.numpy(), self.history_items.numpy())

    def rank(self, users: Any, k: int, exclude_seen: bool = True) -> Ranking:
        """Returns the k best items of each user, all in codes.

        Args:
            users: int `[B]`, user codes.
            k: How many.
            exclude_seen: Leave out the items of the user's training history.

        Raises:
            ConfigError: If `k` is below 1 or a user code is out of range.
        """
        codes = np.atleast_1d(np.asarray(users, np.int64))
        at_least_one(k=k)
        if codes.size and not (codes.min() >= 0 and codes.max() < self.num_users):
            raise ConfigError(
                f"User codes must lie in 0 .. {self.num_users - 1} (encode ids with data.users.encode). "
                f"Received: {codes.min()} .. {codes.max()}."
            )
        return Ranker(self, k, self.seen if exclude_seen else None)(codes)

    # --- training and evaluation

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
        validation_data: Any = None,
        k: Any = 20,
        verbose: Any = 0,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains the model on the training split of a data set, negatives drawn on the device.

        Given `((users, items), labels)` in place of an `InteractionData`, this is `keras.Model.fit`.

        Args:
            x: The data set.
            y: Labels, when `x` is not a data set.
            batch_size: Rows a step (default 1,024), or users a step for CDAE (default 128).
            epochs: Passes over the training interactions.
            num_negatives: Negatives for each positive.
            sampler: Draws negatives; default uniform outside the user's training items.
            steps_per_call: Steps on the device between two callbacks.
            validation_data: A data set whose validation split is ranked after each epoch: the logs get `val_recall@20` and
                so on, for callbacks such as `keras.callbacks.EarlyStopping("val_recall@20", mode="max")`.
            k: Cut-off or cut-offs of these metrics.
            verbose: As in Keras.
            callbacks: As in Keras; a Keras "batch" is one call of up to `steps_per_call` steps.
            **kwargs: Further arguments of `keras.Model.fit`, when `x` is not a data set.

        Returns:
            Keras's history: loss, realised drop rate and, where feedback is known, the quality of the dropped set.

        Raises:
            ConfigError: If the model is not compiled, an argument does not apply, or the policy cannot work with such
                batches.
            DataError: If there is nothing to train on, or no extra feedback where it is needed.
        """
        if not self.compiled:
            raise ConfigError("Call compile() before fit().")
        at_least_one(epochs=epochs, batch_size=batch_size, num_negatives=num_negatives, steps_per_call=steps_per_call)
        others = as_list(callbacks)
        if not isinstance(x, InteractionData):
            check_arrays(x, "fit")
            if y is not None:
                horizon = int(self.iteration) + epochs * -(-len(y) // (batch_size or 32))
                self.policy.prepare(horizon, float(np.mean(y)))
                prepare(self.optimizer, horizon)
            self.make_train_function(force=True)
            self._statistics.has_feedback = False
            if validation_data is not None:
                kwargs["validation_data"] = validation_data
            return self._fit(x, y, batch_size, epochs, verbose, [FitHook(others), *others], **kwargs)
        if kwargs or y is not None:
            raise ConfigError(
                f"fit(data) takes no {', '.join(kwargs) or 'y'}: the data set has labels and splits of its own."
            )
        self.check_data(x)
        if validation_data is not None:
            if not isinstance(validation_data, InteractionData):
                raise ConfigError(f"fit(data) is validated on a data set. Received: {type(validation_data).__name__}.")
            others = [RankingValidation(self._evaluator(validation_data, "valid", k)), *others]
        sampler = sampler or self.negative_sampler(x)
        source = self.batch_source(self.training_rows(x), sampler, batch_size, num_negatives)
        return self.fit_source(source, epochs, steps_per_call, verbose=verbose, callbacks=others)

    def _fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        try:
            return super().fit(*args, **kwargs)
        except BaseException:
            self.sync()  # whoever looks at a model whose training was stopped
            raise

    def evaluate(self, x: Any = None, y: Any = None, *, split: str = "test", k: Any = 20, **kwargs: Any) -> Any:
        """Ranks all items for the users of a split and returns the mean metrics.

        Given `((users, items), labels)` in place of an `InteractionData`, this is `keras.Model.evaluate`.

        Args:
            x: The data set.
            y: Labels, when `x` is not a data set.
            split: `"test"` (items of training and validation are left out) or `"valid"` (those of training).
            k: Cut-off or cut-offs.
            **kwargs: Further arguments of `keras.Model.evaluate`, when `x` is not a data set.

        Returns:
            Such as `{"recall@20": .12, "ndcg@20": .08, ...}`.

        Raises:
            ConfigError: If an argument does not apply.
            DataError: If the split is empty or the data is of another size.
        """
        if not isinstance(x, InteractionData):
            check_arrays(x, "evaluate")
            self._statistics.has_feedback = False  # which arrays do not tell
            self.make_test_function(force=True)
            return super().evaluate(x, y, **kwargs)
        if y is not None or kwargs.keys() - {"verbose", "return_dict"}:
            raise ConfigError(f"evaluate(data) takes split and k. Received: {', '.join(kwargs) or 'y'}.")
        self.check_data(x)
        return self._evaluator(x, split, k)(self).metrics

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Returns the logits of `(users, items)`, as in Keras."""
        check_arrays(x, "predict", "recommend(user_ids, k) ranks items")
        scores: np.ndarray = super().predict(x, *args, **kwargs)
        return scores

    @staticmethod
    def _evaluator(data: InteractionData, split: str, k: Any) -> RankingEvaluator:
        cutoffs = tuple(k) if isinstance(k, Iterable) else (k,)
        at_least_one(**{f"k[{n}]": cutoff for n, cutoff in enumerate(cutoffs)})
        if split not in ("valid", "test"):
            raise ConfigError(f"split must be 'valid' or 'test'. Received: {split!r}.")
        seen = data.history("train", "valid") if split == "test" else data.history()
        return RankingEvaluator(data.test if split == "test" else data.valid, seen, cutoffs)

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

    def check_data(self, data: InteractionData) -> None:
        """Raises DataError if the model was not built for data of this size."""
        if (data.num_users, data.num_items) != (self.num_users, self.num_items):
            raise DataError(
                f"The model was built for {self.num_users} users and {self.num_items} items. "
                f"Received: data of {data.num_users} users and {data.num_items} items."
            )

    def negative_sampler(self, data: InteractionData) -> NegativeSampler:
        """Returns the default sampler: uniform outside each user's training items."""
        return NegativeSampler(data.history(), self.num_items, seed=self.seed)

    # --- weights and configuration

    def add_table(self, name: str, rows: int, dim: int, initializer: Any = None) -> keras.Variable:
        """Makes an embedding table `[rows, dim]`, by default N(0, .01)."""
        if dim < 1:
            raise ConfigError(f"The {name} table needs vectors of at least 1 number. Received: {dim}.")
        require_memory(f"The {name} table ({rows:,} x {dim:,} float32)", 4 * rows * dim, "the length of its vectors")
        initializer = initializer or keras.initializers.RandomNormal(stddev=0.01, seed=self.initializer_seed())
        # autocast would cast the whole table at each use under mixed precision; `lookup` casts the rows read.
        table = self.add_weight(name=f"{name}_table", shape=(rows, dim), initializer=initializer, autocast=False)
        table.deferred = True  # for DeferredAdam
        return table

    def add_output(self, fan_in: int, name: str = "output") -> tuple[keras.Variable, keras.Variable]:
        """Makes an output layer: a kernel `[fan_in, 1]`, uniform in +-sqrt(3 / fan_in), and a bias `[1]` of zeros."""
        uniform = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform", seed=self.initializer_seed())
        kernel = self.add_weight(name=f"{name}_kernel", shape=(fan_in, 1), initializer=uniform)
        return kernel, self.add_weight(name=f"{name}_bias", shape=(1,), initializer="zeros")

    def lookup(self, table: keras.Variable, ids: tf.Tensor) -> tf.Tensor:
        """Returns the rows of a table, `[n, dim]`, in the compute dtype."""
        step = getattr(self, "_step", None)
        rows = tf.gather(table.value, ids) if step is None else step.rows(table, ids)
        return tf.cast(rows, self.compute_dtype)

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
