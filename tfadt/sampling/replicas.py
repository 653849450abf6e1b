"""The devices that a train step is spread over: what one of them computes, and what they tell each other.

Every replica draws the whole batch, which is a pure function of (seed, step), and computes a part of its rows. What the rows
of the others came to is gathered, so that whatever looks at a batch looks at the whole of it. On one device all of this is
the identity and adds no operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfadt.errors import ConfigError, DataError
from tfadt.sampling.batches import Batch


class Replicas:
    """The replicas of the step that is being made, as the one that is traced sees them; one replica outside of a step.

    Attributes:
        count: How many there are.
        index: Which one this is.
    """

    def __init__(self) -> None:
        self._context = tf.distribute.get_replica_context()
        self.count: int = 1 if self._context is None else self._context.num_replicas_in_sync
        self.index = 0 if self.count == 1 else int(tf.get_static_value(self._context.replica_id_in_sync_group))

    def sum(self, values: Any) -> Any:
        """Returns the sum over all replicas of a tensor, or of each of a structure of them."""
        return values if self.count == 1 else self._context.all_reduce(tf.distribute.ReduceOp.SUM, values)

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the rows `[n, ...]` of all replicas, those of the first one first; no gradient flows through."""
        if self.count == 1:
            return tf.stop_gradient(rows)
        gathered = self._context.all_gather(tf.stop_gradient(rows), axis=0)
        gathered.set_shape([None, *rows.shape[1:]])
        return gathered

    def means(self, columns: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns what this replica adds to the mean of each column float32 `[n]` over the rows of all replicas."""
        if self.count == 1:
            return [tf.reduce_mean(column) for column in columns]
        sizes = self.sum(tf.stack([tf.cast(tf.size(column), tf.float32) for column in columns]))
        return [tf.math.divide_no_nan(tf.reduce_sum(c), n) for c, n in zip(columns, tf.unstack(sizes), strict=True)]

    def part(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns this replica's part of rows `[n, ...]` that all replicas have; the parts in order make up all of them."""
        if self.count == 1:
            return rows
        size = tf.shape(rows)[0]  # int32, whose arithmetic stays on the host, as the bounds of slices do
        return rows[self.index * size // self.count : (self.index + 1) * size // self.count]

    def join(self, part: tf.Tensor) -> tf.Tensor:
        """Returns the rows that the parts of the replicas make up; the gradient of each part flows back to its replica."""
        if self.count == 1:
            return part

        @tf.custom_gradient
        def joined(part: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            return self.gather(part), lambda upstream: self.part(self.sum(upstream))

        return joined(part)


class Share:
    """The rows of a batch that this replica computes: all of them on one device.

    Args:
        batch: The whole batch.
        by_user: Whether all rows of a user go to one replica, for models that read a user once. The users, in the order in
            which they come, are then cut into parts of equal length, else the rows.
    """

    def __init__(self, batch: Batch, by_user: bool):
        self._replicas = Replicas()
        self._rows: list[tf.Tensor] | None = None
        if by_user and self._replicas.count > 1:
            distinct, place = tf.unique(batch.users, out_idx=tf.int64)
            # The replica whose part, as `Replicas.part` cuts, the user's place lies in.
            owner = ((place + 1) * self._replicas.count - 1) // tf.size(distinct, tf.int64)
            self._rows = [tf.where(tf.equal(owner, r))[:, 0] for r in range(self._replicas.count)]

    def of(self, column: tf.Tensor | None) -> tf.Tensor | None:
        """Returns this replica's rows of a column `[B]` of the batch."""
        if column is None:
            return None
        return self._replicas.part(column) if self._rows is None else tf.gather(column, self._rows[self._replicas.index])

    def batch(self, batch: Batch) -> Batch:
        """Returns this replica's rows of the batch, beside the items that all rows share."""
        return Batch(*map(self.of, batch._replace(shared=None)))._replace(shared=batch.shared)

    def whole(self, columns: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """Returns float32 columns `[B]` of the whole batch, given each replica's rows of them; no gradient flows through."""
        if self._replicas.count == 1:
            return tuple(map(tf.stop_gradient, columns))
        gathered = self._replicas.gather(tf.stack(columns, axis=1))
        if self._rows is not None:
            gathered = tf.scatter_nd(tf.concat(self._rows, 0)[:, None], gathered, tf.shape(gathered, tf.int64))
        return tuple(tf.unstack(gathered, axis=1))


def copies(variable: tf.Variable) -> tuple[tf.Variable, ...]:
    """Returns what to write to in place of a variable that each replica has a copy of.

    That is the replica's own copy within a step, in which every replica writes the same, and all copies of this process
    outside. A variable of one device stands for itself.
    """
    if not isinstance(variable, tf.distribute.DistributedValues):
        return (variable,)
    strategy, context = variable.distribute_strategy, tf.distribute.get_replica_context()
    found: tuple[tf.Variable, ...] = strategy.experimental_local_results(variable)
    if context is None or context.strategy is not strategy:
        return found
    return (found[int(tf.get_static_value(context.replica_id_in_sync_group)) % len(found)],)


def keeps_copies(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether a strategy keeps a copy of each variable on each device, in step with the others."""
    return isinstance(strategy, tf.distribute.MirroredStrategy | tf.distribute.MultiWorkerMirroredStrategy)


def check_strategy(strategy: tf.distribute.Strategy, optimizer: Any) -> None:
    """Raises ConfigError if a model of a strategy cannot be trained, or not here, or not by an optimizer.

    Args:
        strategy: The strategy in whose scope the model was made.
        optimizer: A Keras optimizer, or what Keras makes one of.
    """
    others = (tf.distribute.experimental.ParameterServerStrategy, tf.distribute.ParameterServerStrategy)
    if isinstance(strategy, others) or (strategy.num_replicas_in_sync > 1 and not keeps_copies(strategy)):
        raise ConfigError(
            "Every device keeps a copy of the model. Expected a MirroredStrategy or a MultiWorkerMirroredStrategy. "
            f"Received: {type(strategy).__name__}."
        )
    if tf.distribute.has_strategy() and tf.distribute.get_strategy() is not strategy:
        raise ConfigError("Build the model in the scope of the distribution strategy that it is compiled in.")
    if isinstance(optimizer, keras.optimizers.Optimizer):
        is_mirrored = isinstance(optimizer.iterations.value, tf.distribute.DistributedValues)
        if is_mirrored != keeps_copies(strategy):
            raise ConfigError("Make the optimizer in the scope of the distribution strategy of the model.")


def check_in_step(strategy: tf.distribute.Strategy, step: int) -> None:
    """Raises DataError if the workers of a strategy are not all at the same step: their checkpoints differ."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return

    @tf.function
    def steps_of_all() -> tf.Tensor:
        return strategy.run(lambda: Replicas().gather(tf.constant([step])))

    found = sorted(set(strategy.experimental_local_results(steps_of_all())[0].numpy().tolist()))
    if len(found) > 1:
        raise DataError(
            "The workers of a training begin at different steps. Expected the same checkpoints for all of them. "
            f"Received: checkpoints of the steps {', '.join(map(str, found))} (0 for none)."
        )
