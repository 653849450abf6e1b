"""The base of all recommenders: what a model implements, the common ways to score, and training on a data set."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import InteractionData, Interactions
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.ranking import Ranker, Ranking, RankingEvaluator
from tfadt.evaluation.rules import validation_rows
from tfadt.models.arguments import as_list, at_least_one, check_arrays
from tfadt.models.hooks import FitHook, RankingValidation
from tfadt.models.identified import IdentifiedModel
from tfadt.optimizers.steps import prepare
from tfadt.sampling.batches import BatchSource, PairSource
from tfadt.sampling.negatives import NegativeSampler
from tfadt.sampling.shared import SharedSampler, SharedSource
from tfadt.sampling.user_batches import UserSource
from tfadt.search_space import SearchSpace

_BLOCK_USERS = 8192
_BLOCK_PAIRS = 65_536


class Recommender(IdentifiedModel):
    """A model of user-item preference, trained on observed interactions and sampled negatives.

    A subclass makes its weights in `__init__` and implements `call`, `user_representation`, `score_vectors` and
    `get_config`; training, denoising, evaluation and saving are here. `recommend` and `similar_items` take and give ids,
    which the model keeps and saves; everything else takes integer codes, as in `InteractionData`.

    The constructor is that of `EmbeddingModel`.
    """

    needs_extra_feedback: ClassVar[bool] = False
    """Whether training needs to know which clicks are known to be liked."""
    search_space: ClassVar[SearchSpace] = {}
    """What a search tries for the constructor's arguments."""

    pairs_a_row: ClassVar[int | None] = None
    """How many pairs a ranking scores in the time in which a row is trained, a negative being one; None where a validation
    costs next to nothing, as where one matrix product scores all pairs."""
    affine_scores: ClassVar[bool] = False
    """Whether `score_vectors` is affine: then a mixture of users' logits is the logits of the mixture of their vectors."""

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

    def score_rows(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Returns the logits of any number of pairs, float32 `[n]`, block by block."""
        blocks = (slice(first, first + _BLOCK_PAIRS) for first in range(0, len(users), _BLOCK_PAIRS))
        return np.concatenate([np.zeros(0, np.float32), *(self.score_pairs(users[b], items[b]).numpy() for b in blocks)])

    def item_vectors(self) -> tf.Tensor:
        """Returns the vectors of all items, float32 `[num_items, d]`; by default those of `item_table`."""
        return tf.convert_to_tensor(self.item_table.value)

    def user_space(self) -> np.ndarray:
        """Returns the vectors of all users, float32 `[num_users, d]`."""
        starts = range(0, self.num_users, _BLOCK_USERS)
        blocks = [tf.range(first, min(first + _BLOCK_USERS, self.num_users), dtype=tf.int64) for first in starts]
        return np.concatenate([self.user_representation(users).numpy() for users in blocks])

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
        sampler: NegativeSampler | SharedSampler,
        batch_size: int | None = None,
        num_negatives: int = 1,
        validation: bool = False,
    ) -> BatchSource:
        """Returns the source of this model's training batches.

        Args:
            rows: The interactions.
            sampler: Draws negatives for each user, or items that all rows of a batch share.
            batch_size: Rows a step, negatives by row counted (default 1,024); users a step for CDAE (default 128).
            num_negatives: Negatives of each positive; a `SharedSampler` has a number of its own.
            validation: Whether the rows are no training rows: then a step has rows of all users whatever the model, in an
                order of their own.

        Raises:
            ConfigError: If the objective or the model does not go with such negatives.
            DataError: If there is nothing to draw from.
        """
        by_user = self.user_batches and not validation
        make, size = (UserSource, batch_size or 128) if by_user else (PairSource, batch_size or 1024)
        if size < self.strategy.num_replicas_in_sync and not validation:
            raise ConfigError(
                f"Each device takes a part of a batch. Expected a batch_size of at least "
                f"{self.strategy.num_replicas_in_sync}, the number of devices. Received: {size}."
            )
        seed = self.seed + 1 if validation else self.seed
        numbered = self.policy.remembers_interactions and not validation
        if isinstance(sampler, NegativeSampler) and not self.listwise:
            return make(rows, sampler, size, num_negatives, self.pairwise, seed, numbered)
        return self._shared_source(make(rows, None, size, 0, seed=seed, numbered=numbered), sampler)

    def _shared_source(self, positives: BatchSource, sampler: NegativeSampler | SharedSampler) -> BatchSource:
        """Returns batches of positives against items that all of them share: the sampler's, or the whole catalogue."""
        self.check_shared("negatives that a batch shares")
        if self.pairwise:
            raise ConfigError("BPR needs a negative for each row. Expected negatives by row, or another objective.")
        if self.listwise and self.whole_catalogue:
            return SharedSource(positives, None)
        if isinstance(sampler, NegativeSampler):
            raise ConfigError("The softmax needs negatives that all rows share. Expected a SharedSampler.")
        return SharedSource(positives, sampler)

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
        sampler: NegativeSampler | SharedSampler | None = None,
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
            num_negatives: Negatives for each positive; under the softmax, items that all rows of a step share.
            sampler: Draws negatives; default uniform outside the user's training items, or the shared ones of the softmax.
            steps_per_call: Steps on the device between two callbacks.
            validation_data: A data set whose validation split is ranked after each epoch: the logs get `val_recall@20` and
                so on, for callbacks such as `keras.callbacks.EarlyStopping("val_recall@20", mode="max")`. What is
                known of the clicks says how much each interaction of it counts (`adt.selection = "auto"`).
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
            others = [RankingValidation(self._validation(validation_data, k)), *others]
        rows = self.training_rows(x)
        with self.strategy.scope():  # what a step reads lies on each device
            sampler = sampler or self.negative_sampler(x, num_negatives)
            self.policy.build(rows, self.num_users, self.num_items)
            source = self.batch_source(rows, sampler, batch_size, num_negatives)
        return self.fit_source(source, epochs, steps_per_call, verbose=verbose, callbacks=others)

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
        if split not in ("valid", "test"):
            raise ConfigError(f"split must be 'valid' or 'test'. Received: {split!r}.")
        seen = data.history("train", "valid") if split == "test" else data.history()
        return RankingEvaluator(data.test if split == "test" else data.valid, seen, _cut_offs(k))

    @staticmethod
    def _validation(data: InteractionData, k: Any) -> RankingEvaluator:
        """Returns what measures a model while it is fitted."""
        return RankingEvaluator(validation_rows("auto", data), data.history(), _cut_offs(k))

    def check_data(self, data: InteractionData) -> None:
        """Raises DataError if the model was not built for data of this size."""
        if (data.num_users, data.num_items) != (self.num_users, self.num_items):
            raise DataError(
                f"The model was built for {self.num_users} users and {self.num_items} items. "
                f"Received: data of {data.num_users} users and {data.num_items} items."
            )

    def negative_sampler(
        self, data: InteractionData, num_negatives: int = 1, shared: bool = False
    ) -> NegativeSampler | SharedSampler:
        """Returns the default sampler: uniform outside each user's training items, or if `shared` items to share.

        The softmax always has items to share.

        Raises:
            ConfigError: If the model is not compiled.
        """
        if shared or self.listwise:
            return SharedSampler(self.num_items, num_negatives, self.seed)
        return NegativeSampler(data.history(), self.num_items, seed=self.seed)


def _cut_offs(k: Any) -> tuple[int, ...]:
    cut_offs = tuple(k) if isinstance(k, Iterable) else (k,)
    at_least_one(**{f"k[{n}]": cut_off for n, cut_off in enumerate(cut_offs)})
    return cut_offs
