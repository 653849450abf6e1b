"""The base of all recommenders: sizes, histories, the common ways to score, and the weights that models are made of."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import CSR, InteractionData, Interactions
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.ranking import Ranker, Ranking
from tfadt.memory import require_memory
from tfadt.models.fitting import FittingModel
from tfadt.sampling.batches import BatchSource, PairSource
from tfadt.sampling.negatives import NegativeSampler
from tfadt.search_space import SearchSpace

_BLOCK_USERS = 8192


class Recommender(FittingModel):
    """A model of user-item preference, trained on observed interactions and sampled negatives.

    A subclass makes its weights in `__init__` and implements `call`, `user_representation`, `score_vectors` and
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

    def user_space(self) -> np.ndarray:
        """Returns the vectors of all users, float32 `[num_users, d]`."""
        starts = range(0, self.num_users, _BLOCK_USERS)
        blocks = [tf.range(first, min(first + _BLOCK_USERS, self.num_users), dtype=tf.int64) for first in starts]
        return np.concatenate([self.user_representation(users).numpy() for users in blocks])

    @property
    def seen(self) -> CSR:
        """The training items of each user."""
        return CSR(self.history_offsets.numpy(), self.history_items.numpy())

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
        if codes.size and not (codes.min() >= 0 and codes.max() < self.num_users):
            raise ConfigError(
                f"User codes must lie in 0 .. {self.num_users - 1} (encode ids with data.users.encode). "
                f"Received: {codes.min()} .. {codes.max()}."
            )
        return Ranker(self, k, self.seen if exclude_seen else None)(codes)

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
        reads = getattr(self, "_reads", None)
        rows = tf.gather(table.value, ids) if reads is None else reads.lookup(table, ids)
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
