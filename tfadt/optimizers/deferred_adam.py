"""Adam for embedding tables at the cost of the rows that a step reads, equal to dense Adam.

Dense Adam moves every row of a table at every step, for a row without a gradient still has momentum. Here a row rests until
it is read again, and then makes up the motion that it missed in closed form. The derivation, with the measured error, is
in docs/deferred_adam.md.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfadt.errors import ConfigError
from tfadt.sampling.replicas import copies

_BLOCK_ROWS = 1 << 18
_HORIZON = 20_000  # steps after which beta_2 ** step is below 3e-9 and the bias correction is 1


class TableRows(NamedTuple):
    """Distinct rows of a table, their weights brought up to date in memory but not yet in the table.

    Attributes:
        ids: int64 `[n]`, distinct.
        weights: float32 `[n, dim]`, as dense Adam would have them before the coming step.
        momentum, velocity: float32 `[n, dim]`, as they were when the row was last moved.
        missed: float32 `[n, 1]`, steps that the row has rested since.
    """

    ids: tf.Tensor
    weights: tf.Tensor
    momentum: tf.Tensor
    velocity: tf.Tensor
    missed: tf.Tensor


@keras.saving.register_keras_serializable("tfadt")
class DeferredAdam(keras.optimizers.Adam):
    """`keras.optimizers.Adam` that defers the motion of resting embedding rows.

    Variables marked `deferred = True` are tables: a train step reads their rows with `rows`, differentiates with respect to
    `TableRows.weights` and hands the gradient to `update`. All other variables go through `apply` as in plain Adam, which
    also counts the step. `sync` moves the resting rows to where dense Adam has them. It has to come before anything else
    reads the tables; `Recommender.fit` sees to that.

    Args:
        learning_rate: A float or a schedule.
        beta_1: Decay of the momentum.
        beta_2: Decay of the velocity.
        epsilon: As in Keras: outside the bias correction.
        **kwargs: As in `keras.optimizers.Adam`.

    Raises:
        ConfigError: If an option is asked for that moves rows in another way than Adam's own (weight decay, AMSGrad,
            averaging, clipping by the global norm, accumulation).
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        for name in ("weight_decay", "amsgrad", "use_ema", "clipnorm", "clipvalue", "global_clipnorm"):
            if kwargs.get(name):
                raise ConfigError(f"DeferredAdam cannot defer {name}. Received: {name}={kwargs[name]}.")
        if (kwargs.get("gradient_accumulation_steps") or 1) > 1:
            raise ConfigError("DeferredAdam cannot accumulate gradients.")
        if not 0 < beta_1 < np.sqrt(beta_2) < 1:
            raise ConfigError(
                "DeferredAdam needs 0 < beta_1 < sqrt(beta_2) < 1: what a resting row misses must fade. Received: "
                f"beta_1={beta_1}, beta_2={beta_2}."
            )
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self._ratio = beta_1 / np.sqrt(beta_2)
        self._horizon = _HORIZON

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the state: momentum and velocity, and for tables the step at which each row was last moved."""
        if self.built:
            return
        keras.optimizers.Optimizer.build(self, variables)
        self._momentums, self._velocities = [], []
        self._last_steps: list[keras.Variable | None] = []
        self._state: list[tuple[tf.Variable, ...]] = []
        for variable in variables:
            self._momentums.append(self.add_variable_from_reference(variable, name="momentum"))
            self._velocities.append(self.add_variable_from_reference(variable, name="velocity"))
            last = None
            if is_deferred(variable):
                last = self.add_variable((variable.shape[0],), "zeros", dtype="int64", name=f"{variable.name}_last_step")
            self._last_steps.append(last)
            # The tf.Variables: within a model under mixed precision, Keras's would be cast to its compute dtype.
            parts = (variable, self._momentums[-1], self._velocities[-1], last)
            self._state.append(tuple(part.value for part in parts if part is not None))
        with tf.init_scope():
            self._motion = tf.Variable(self._tabulate(), trainable=False, dtype=tf.float32)

    def prepare(self, horizon: int) -> None:
        """Makes ready for a run that ends at step `horizon`; to be called before its train function is traced.

        Only a learning-rate schedule needs a horizon: past the steps that are tabulated the rate counts as constant. Rates
        are tabulated anew: a restored state may have brought another, and a schedule may have learned how long the run is.
        """
        if self._scheduled and horizon > self._horizon:
            self._horizon = int(horizon)
            self._motion = tf.Variable(self._tabulate(), trainable=False, dtype=tf.float32)
        elif self.built:
            self._motion.assign(self._tabulate())

    @property
    def learning_rate(self) -> Any:
        """The current learning rate."""
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        # What the resting rows missed they missed at the old rate.
        if self.built:
            self.sync()
        keras.optimizers.Optimizer.learning_rate.fset(self, value)
        if self.built:
            self._motion.assign(self._tabulate())

    def rows(self, table: keras.Variable, ids: tf.Tensor) -> TableRows:
        """Returns distinct rows as dense Adam would have them before the coming step; writes nothing.

        Args:
            table: A deferred variable `[n, dim]`.
            ids: int64 `[k]`, distinct.
        """
        index = self._get_variable_index(table)
        weights, momentum, velocity, last = (tf.gather(variable, ids) for variable in self._state[index])
        now = tf.cast(self.iterations, tf.int64)
        missed = tf.cast(now - last, tf.float32)[:, None]
        decay = tf.exp(missed * np.float32(np.log(self._ratio)))
        motion_since, motion_now = (tf.gather(self._motion, tf.minimum(s, self._horizon)) for s in (last, now))
        motion = motion_since[:, None] - decay * motion_now
        # The mean missed step under the weights r^1 .. r^k: what epsilon is worth against a decaying velocity.
        mean_step = 1.0 / (1.0 - self._ratio) - tf.math.divide_no_nan(missed * decay, 1.0 - decay)
        mean_step = tf.where(missed > 0, mean_step, 0.0)
        epsilon = self.epsilon * tf.exp(mean_step * np.float32(-0.5 * np.log(self.beta_2)))
        return TableRows(ids, weights - momentum / (tf.sqrt(velocity) + epsilon) * motion, momentum, velocity, missed)

    def update(self, table: keras.Variable, rows: TableRows, gradient: tf.Tensor) -> None:
        """Makes the coming step on the rows that `rows` returned. Call before `apply`, which counts the step.

        Args:
            table: The table.
            rows: What `rows` returned.
            gradient: float32 `[n, dim]`, with respect to `rows.weights`.
        """
        step = tf.cast(self.iterations, tf.float32) + 1.0
        rate = tf.cast(self._get_current_learning_rate(), tf.float32)
        rate *= tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        # The decay of the missed steps and of this one in a single pass over the rows.
        momentum, velocity = self._decayed(rows, 1)
        momentum += gradient * (1.0 - self.beta_1)
        velocity += tf.square(gradient) * (1.0 - self.beta_2)
        weights = rows.weights - momentum * rate / (tf.sqrt(velocity) + self.epsilon)
        self._write(table, rows.ids, (weights, momentum, velocity), tf.cast(self.iterations, tf.int64) + 1)

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: Any) -> None:
        """Moves a dense variable: the same numbers as Keras's dozen operations, in one kernel."""
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        beta_1, beta_2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
        step = tf.cast(self.iterations + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )

    def sync(self) -> None:
        """Moves every resting row to where dense Adam would have it; a second call changes no bit.

        A row that was moved early rounds otherwise later on, by 1e-5. Runs that are to be equal bit for bit sync at the same
        steps.
        """
        for variable, last in zip(self._trainable_variables, self._last_steps, strict=True):
            # Where no row rests, one column tells; the tables themselves stay unread.
            if last is not None and not bool(tf.reduce_all(tf.equal(last.value, tf.cast(self.iterations, tf.int64)))):
                for ids in _blocks(variable):
                    rows = self.rows(variable, ids)
                    self._write(variable, ids, (rows.weights, *self._decayed(rows)), tf.cast(self.iterations, tf.int64))

    def _decayed(self, rows: TableRows, more: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns momentum and velocity after the missed steps and `more`, all without a gradient."""
        steps = rows.missed + float(more)
        return (
            rows.momentum * tf.exp(steps * np.float32(np.log(self.beta_1))),
            rows.velocity * tf.exp(steps * np.float32(np.log(self.beta_2))),
        )

    def _write(self, table: keras.Variable, ids: tf.Tensor, values: tuple[tf.Tensor, ...], step: tf.Tensor) -> None:
        state = self._state[self._get_variable_index(table)]
        for variable, value in zip(state, (*values, tf.fill(tf.shape(ids), step)), strict=True):
            for copy in copies(variable):
                copy.scatter_update(tf.IndexedSlices(value, ids))

    @property
    def _scheduled(self) -> bool:
        return isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule)

    def _tabulate(self) -> np.ndarray:
        """Returns F(s) = r (c(s + 1) + F(s + 1)) for s = 0 .. horizon, c(s) being the step size of step s.

        Past the horizon c is constant and F its limit c r / (1 - r).
        """
        steps = np.arange(1, self._horizon + 1, dtype=np.float64)
        if self._scheduled:
            counted = tf.range(self._horizon, dtype=tf.int64)  # Keras evaluates a schedule at the steps made before

            @tf.function  # Step by step outside of a graph, a long table takes many seconds.
            def evaluate() -> tf.Tensor:
                return tf.map_fn(
                    lambda s: tf.cast(self._learning_rate(s), tf.float32), counted, fn_output_signature=tf.float32
                )

            rates = evaluate().numpy()
        else:
            rates = np.full(self._horizon, float(self._learning_rate.numpy()))
        sizes = rates * np.sqrt(1 - self.beta_2**steps) / (1 - self.beta_1**steps)
        motion = np.empty(self._horizon + 1)
        motion[-1] = rates[-1] * self._ratio / (1 - self._ratio)
        for step in range(self._horizon - 1, -1, -1):
            motion[step] = self._ratio * (sizes[step] + motion[step + 1])
        return motion


def is_deferred(variable: keras.Variable) -> bool:
    """Returns whether a variable is a table whose resting rows are deferred."""
    return bool(getattr(variable, "deferred", False))


def _blocks(table: keras.Variable) -> list[tf.Tensor]:
    rows = table.shape[0]
    return [tf.range(first, min(first + _BLOCK_ROWS, rows), dtype=tf.int64) for first in range(0, rows, _BLOCK_ROWS)]
