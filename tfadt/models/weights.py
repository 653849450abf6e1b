"""What recommenders are made of: sizes, each user's training history, embedding tables and output layers."""

from __future__ import annotations

import threading
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import CSR
from tfadt.errors import ConfigError
from tfadt.memory import require_memory
from tfadt.optimizers.steps import OptimizerStep, sum_rows


class EmbeddingModel(keras.Model):
    """A Keras model with a table of vectors for users, for items, or both.

    The items of each user's training history are weights of the model (int64, not trained): they travel with it, so that
    a reloaded model can leave seen items out and CDAE can read its input.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        history_size: Total number of items in all histories.
        seed: Seed of the initial weights and of every draw in training.
        **kwargs: As in `keras.Model`.

    Attributes:
        strategy: The `tf.distribute.Strategy` in whose scope the model was made, over whose devices it trains.
    """

    _popularity_bias: keras.Variable | None = None  # the item biases that begin at the items' popularity

    def __init__(self, num_users: int, num_items: int, history_size: int = 0, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_users = int(num_users)
        self.num_items = int(num_items)
        self.history_size = int(history_size)
        self.seed = int(seed)
        self._initializers_made = 0
        self.strategy = tf.distribute.get_strategy()
        # Holds the train step: TensorFlow traces the replicas of a step in threads that take turns.
        self._making = threading.local()
        self.history_offsets = self.add_weight(
            name="history_offsets", shape=(num_users + 1,), dtype="int64", initializer="zeros", trainable=False
        )
        self.history_items = self.add_weight(
            name="history_items", shape=(history_size,), dtype="int64", initializer="zeros", trainable=False
        )

    @property
    def seen(self) -> CSR:
        """The training items of each user."""
        return CSR(self.history_offsets.numpy(), self.history_items.numpy())

    def add_table(self, name: str, rows: int, dim: int, initializer: Any = None) -> keras.Variable:
        """Makes an embedding table `[rows, dim]`, by default N(0, .01): of users if its name says `user`, else of items.

        Training that starts from an earlier model takes each row from the same user or item there.
        """
        if dim < 1:
            raise ConfigError(f"The {name} table needs vectors of at least 1 number. Received: {dim}.")
        require_memory(f"The {name} table ({rows:,} x {dim:,} float32)", 4 * rows * dim, "the length of its vectors")
        initializer = initializer or self.normal(0.01)
        # autocast would cast the whole table at each use under mixed precision; `lookup` casts the rows read.
        table = self.add_weight(name=f"{name}_table", shape=(rows, dim), initializer=initializer, autocast=False)
        table.deferred = True  # for DeferredAdam
        table.rows_of = "users" if "user" in name else "items"
        return table

    def normal(self, stddev: float) -> keras.initializers.Initializer:
        """Returns the initializer N(0, stddev) of the next table.

        Raises:
            ConfigError: If `stddev` is not above 0.
        """
        if not stddev > 0:
            raise ConfigError(f"init_stddev must be above 0. Received: {stddev}.")
        return keras.initializers.RandomNormal(stddev=stddev, seed=self.initializer_seed())

    def add_item_bias(self, name: str = "bias", init: str = "zeros") -> keras.Variable:
        """Makes a table of a bias for each item, `[num_items, 1]`, which the L2 penalty leaves alone.

        Args:
            name: What it is called.
            init: How biases begin: `"zeros"`, or `"popularity"`, the log of the item's training clicks, the mean item at 0.
                A bias that begins at 0 takes hundreds of steps to get there, in which vectors learn what it should have
                said.

        Raises:
            ConfigError: If `init` is neither.
        """
        if init not in ("zeros", "popularity"):
            raise ConfigError(f"init_bias must be 'zeros' or 'popularity'. Received: {init!r}.")
        table = self.add_table(name, self.num_items, 1, "zeros")
        table.penalised = False  # for OptimizerStep
        if init == "popularity":
            self._popularity_bias = table
        return table

    def read_popularity(self) -> None:
        """Lets the item biases begin where they are told to, once the training histories are known."""
        if self._popularity_bias is not None:
            counts = np.bincount(self.history_items.numpy(), minlength=self.num_items) + 1.0
            self._popularity_bias.assign(np.log(counts / counts.mean())[:, None])

    def add_output(self, fan_in: int, name: str = "output") -> tuple[keras.Variable, keras.Variable]:
        """Makes an output layer: a kernel `[fan_in, 1]`, uniform in +-sqrt(3 / fan_in), and a bias `[1]` of zeros."""
        uniform = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform", seed=self.initializer_seed())
        kernel = self.add_weight(name=f"{name}_kernel", shape=(fan_in, 1), initializer=uniform)
        return kernel, self.add_weight(name=f"{name}_bias", shape=(1,), initializer="zeros")

    @property
    def _step(self) -> OptimizerStep | None:
        """The train step that is being made, if one is."""
        return getattr(self._making, "step", None)

    def lookup(self, table: keras.Variable, ids: tf.Tensor) -> tf.Tensor:
        """Returns the rows of a table, `[n, dim]`, in the compute dtype."""
        rows = tf.gather(table.value, ids) if self._step is None else self._step.rows(table, ids)
        return tf.cast(rows, self.compute_dtype)

    def lookup_distinct(self, table: keras.Variable, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns each row of a table that a train step reads once, `[m, dim]`, and which of them each id is, int64 `[n]`.

        What is computed from a row alone is then computed once; `take_rows` repeats it. Outside of a step, where no two ids
        need be the same, the rows are as many as the ids.
        """
        if self._step is None:
            return self.lookup(table, ids), tf.cumsum(tf.ones_like(ids), exclusive=True)
        rows, index = self._step.distinct_rows(table, ids)
        return tf.cast(rows, self.compute_dtype), index

    def lookup_sums(
        self, table: keras.Variable, ids: tf.Tensor, owner: tf.Tensor, count: tf.Tensor, kept: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the sum of each owner's rows of a table, `[count, dim]`, in the compute dtype.

        Args:
            table: The table.
            ids: int64 `[n]`, repeats welcome.
            owner: int64 `[n]`, ascending, below `count`: whose each row is.
            count: Owners, an int64 scalar.
            kept: bool `[n]`, which rows are summed up; all are read. None for all.
        """
        rows, index = (table.value, ids) if self._step is None else self._step.distinct_rows(table, ids)
        if kept is not None:
            index, owner = tf.boolean_mask(index, kept), tf.boolean_mask(owner, kept)
        return sum_rows(tf.cast(rows, self.compute_dtype), index, owner, count)

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
