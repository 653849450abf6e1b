"""One train step as the model sees it, whatever the optimizer: `rows` to read tables, `minimize` to move the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfadt.optimizers.deferred_adam import DeferredAdam, TableRows, is_deferred
from tfadt.optimizers.rates import CosineOverRun
from tfadt.sampling.replicas import Replicas


class OptimizerStep:
    """A step of an optimizer that moves whole variables.

    Args:
        optimizer: Any Keras optimizer, built.
        tape: Records the forward pass.
    """

    def __init__(self, optimizer: Any, tape: tf.GradientTape):
        self.optimizer = optimizer
        self.tape = tape
        self._penalised: list[tf.Tensor] = []

    def penalty(self) -> tf.Tensor:
        """Returns half the mean square length of the rows read from each table, summed over the tables: a float32 scalar.

        A row that is read twice counts twice. Tables with `penalised = False` count nothing. Over several replicas it is
        what this one adds to that.
        """
        return 0.5 * tf.add_n(Replicas().means(self._penalised)) if self._penalised else tf.zeros([])

    def rows(self, table: keras.Variable, ids: tf.Tensor) -> tf.Tensor:
        """Returns the rows of int64 `ids` `[n]` (repeats welcome): float32 `[n, dim]`."""
        return take_rows(*self.distinct_rows(table, ids))

    def distinct_rows(self, table: keras.Variable, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns each row once, float32 `[m, dim]`, and which of them each of int64 `ids` `[n]` is, int64 `[n]`."""
        distinct, index = tf.unique(ids, out_idx=tf.int64)
        rows = self._read_rows(table, distinct)
        if table.trainable and getattr(table, "penalised", True):
            self._penalised.append(tf.gather(tf.reduce_sum(tf.square(rows), axis=1), index))
        return rows, index

    def _read_rows(self, table: keras.Variable, ids: tf.Tensor) -> tf.Tensor:
        return tf.gather(table.value, ids)

    def minimize(self, loss: tf.Tensor, variables: Sequence[keras.Variable]) -> None:
        """Moves the variables against the gradient of the loss, a scalar, and counts the step.

        Over several replicas the loss is what this one adds to that of the batch; all of them make the same move.
        """
        self.apply(self.tape.gradient(self.optimizer.scale_loss(loss), list(variables)), variables)

    def apply(self, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]) -> None:
        """Moves the variables, given their gradients, and counts the step."""
        if variables:
            # Dense on purpose: Keras's Adam (3.15) squares the repeated rows of an IndexedSlices one by one, where the
            # square of their sum belongs into the velocity.
            self.optimizer.apply([tf.convert_to_tensor(gradient) for gradient in gradients], list(variables))
        else:
            self.optimizer.iterations.assign_add(1)  # which `apply` does not do without a variable


class DeferredStep(OptimizerStep):
    """A step of `DeferredAdam`: only the rows that were read are moved."""

    optimizer: DeferredAdam

    def __init__(self, optimizer: DeferredAdam, tape: tf.GradientTape):
        super().__init__(optimizer, tape)
        self._read: list[tuple[keras.Variable, TableRows]] = []

    def _read_rows(self, table: keras.Variable, ids: tf.Tensor) -> tf.Tensor:
        """Returns the rows as dense Adam would have them.

        Raises:
            ValueError: If the table was read in this step already; its second update would overwrite the first.
        """
        if not table.trainable:
            return super()._read_rows(table, ids)
        if any(table is earlier for earlier, _ in self._read):
            raise ValueError(f"A step can look a table up once. Received a second lookup of {table.path}.")
        rows = self.optimizer.rows(table, ids)
        self.tape.watch(rows.weights)
        self._read.append((table, rows))
        return rows.weights

    def minimize(self, loss: tf.Tensor, variables: Sequence[keras.Variable]) -> None:
        """Moves the rows that were read and the variables that are no tables."""
        dense = [variable for variable in variables if not is_deferred(variable)]
        read = [rows.weights for _, rows in self._read]
        gradients = self.tape.gradient(self.optimizer.scale_loss(loss), [*dense, *read])
        replicas = Replicas()
        for (table, rows), gradient in zip(self._read, gradients[len(dense) :], strict=True):
            if replicas.count > 1:
                ids, parts = _gathered(replicas, rows.ids, gradient)
                distinct, index = tf.unique(ids, out_idx=tf.int64)
                rows, gradient = self.optimizer.rows(table, distinct), _sums(parts, index)
            self.optimizer.update(table, rows, gradient)
        self.apply(gradients[: len(dense)], dense)


@tf.custom_gradient
def take_rows(rows: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    """Returns `rows[index]`, `[n, dim]`, of rows `[m, dim]` and int64 `[n]` in which each of 0 .. m - 1 occurs."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.cast(_sums(upstream, index), rows.dtype), None

    return tf.gather(rows, index), gradient


@tf.custom_gradient
def sum_rows(
    rows: tf.Tensor, index: tf.Tensor, owner: tf.Tensor, count: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None, None, None]]]:
    """Returns the sum of `rows[index]` of each owner, which `tf.gather` would lay out first: `[count, dim]`.

    Args:
        rows: `[m, dim]`.
        index: int64 `[n]`, rows in any order.
        owner: int64 `[n]`, ascending, below `count`.
        count: Owners, an int64 scalar; one without a row has zeros.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, None]:
        order = tf.argsort(index, stable=True)
        upstream = tf.cast(upstream, tf.float32)
        sums = tf.sparse.segment_sum(upstream, tf.gather(owner, order), tf.gather(index, order), tf.shape(rows, tf.int64)[0])
        return tf.cast(sums, rows.dtype), None, None, None

    return tf.sparse.segment_sum(rows, index, owner, count), gradient


def _sums(rows: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns the sum of the rows `[n, dim]` of each of 0 .. m - 1 in `index`, in which each occurs: float32 `[m, dim]`."""
    # Sorted first: a sum over sorted segments takes a third of the time of one over unsorted segments.
    order = tf.argsort(index, stable=True)
    rows = tf.cast(rows, tf.float32)  # half precision would lose the small ones of many
    return tf.sparse.segment_sum(rows, order, tf.gather(index, order))


def _gathered(replicas: Replicas, ids: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the ids int64 `[n]` and float32 rows `[n, dim]` of all replicas, those of an id side by side on the way.

    So it is one exchange; and TensorFlow pads what replicas exchange, for which GPUs have no kernel of int64.
    """
    gathered = replicas.gather(tf.concat([tf.bitcast(ids, tf.float32), rows], axis=1))
    bits, rows = tf.split(gathered, [2, rows.shape[1]], axis=1)
    return tf.bitcast(bits, tf.int64), rows


def begin_step(optimizer: Any, tape: tf.GradientTape) -> OptimizerStep:
    """Returns the step that the optimizer is about to make."""
    return DeferredStep(optimizer, tape) if isinstance(optimizer, DeferredAdam) else OptimizerStep(optimizer, tape)


def prepare(optimizer: Any, horizon: int) -> None:
    """Makes an optimizer ready for a run that ends at step `horizon`, before its train function is traced."""
    schedule = optimizer._learning_rate  # the property of that name gives today's rate
    if isinstance(schedule, CosineOverRun):
        schedule.prepare(horizon)
    if isinstance(optimizer, DeferredAdam):
        optimizer.prepare(horizon)


def sync(optimizer: Any) -> None:
    """Brings the tables to where dense training would have them; nothing rests under any optimizer but `DeferredAdam`."""
    if isinstance(optimizer, DeferredAdam):
        optimizer.sync()
