"""Many steps a call: the loop of train steps that runs on the device between two callbacks of `fit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfadt.errors import DivergedError
from tfadt.sampling.batches import Batch, BatchSource


def chunk_plan(
    steps_per_epoch: int, epochs: int, steps_per_call: int, stops: Sequence[int] = (), first_step: int = 0, done: int = 0
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Cuts a run into calls that never cross the end of an epoch or a multiple of one of `stops`.

    Keras wants the same number of calls in every epoch, so where an epoch needs fewer, its longest are halved. What a
    resumed run has done already stays in the plan as calls of no steps.

    Args:
        steps_per_epoch: Steps of an epoch.
        epochs: Number of epochs.
        steps_per_call: Most steps of a call.
        stops: A call ends at each multiple of each of these.
        first_step: The number of the run's first step.
        done: Steps of the run that were made before.

    Returns:
        `((first, count), calls_per_epoch)`: int64 and int32 `[calls]`, the first step and the number of steps of each call,
        the first epoch's first.
    """
    cut_at: list[list[int]] = []
    for epoch in range(epochs):
        begin = first_step + epoch * steps_per_epoch
        end = begin + steps_per_epoch
        cuts = set(range(begin, end, steps_per_call)) | {end}
        for stop in stops:
            cuts |= set(range(-(-begin // stop) * stop, end, stop))
        cut_at.append(sorted(cuts))
    calls_per_epoch = max(len(cuts) for cuts in cut_at) - 1
    for bounds in cut_at:
        while len(bounds) - 1 < calls_per_epoch:
            longest = int(np.argmax(np.diff(np.asarray(bounds))))
            bounds.insert(longest + 1, (bounds[longest] + bounds[longest + 1]) // 2)
    begins = np.concatenate([np.asarray(bounds[:-1], np.int64) for bounds in cut_at])
    ends = np.concatenate([np.asarray(bounds[1:], np.int64) for bounds in cut_at])
    first = np.maximum(begins, first_step + done)
    return (first, np.maximum(ends - first, 0).astype(np.int32)), calls_per_epoch


class Stepper:
    """A Keras train function that makes all the steps of a call in one graph, with no host sync between them.

    Over several devices it makes them one by one.

    It is called with an iterator over `(first step, number of steps)` and returns the logs. A loss that is not finite raises
    DivergedError, with the step and its batch.

    Args:
        source: Draws all the batches of a call in one vectorised go, before the loop.
        train: Makes one step on a batch and returns its loss; all variables that it needs exist already.
        result: Gives the logs, after the last step of a call.
        strategy: Spreads each step over its devices, each of which draws the batches for itself.

    Attributes:
        function: The traced graph.
    """

    def __init__(
        self,
        source: BatchSource,
        train: Callable[[Batch], tf.Tensor],
        result: Callable[[], dict[str, Any]],
        strategy: tf.distribute.Strategy,
    ):
        self._source = source
        self._strategy = strategy
        signature = [tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int32)]

        @tf.function(input_signature=signature, jit_compile=False, autograph=False)
        def run_steps(first: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, dict[str, Any]]:
            # A cumulative sum of ones, not tf.range: tf.range writes its result to host memory on a GPU.
            steps = first + tf.cumsum(tf.ones(count[None], tf.int64), exclusive=True)
            drawn = strategy.run(source.draw, (steps,))

            # The counter is int32, which TensorFlow keeps on the host: the loop's condition then waits for no GPU. For the
            # same reason a loss that is not finite does not end the loop; its step is noted.
            def step(k: tf.Tensor, diverged: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                losses = strategy.run(lambda drawn, k: train(source.batch(drawn, k)), (drawn, k))
                loss = strategy.experimental_local_results(losses)[0]  # the same on every device
                fine = tf.logical_or(tf.math.is_finite(loss), diverged >= 0)
                return k + 1, tf.where(fine, diverged, first + tf.cast(k, tf.int64))

            _, diverged = tf.while_loop(
                lambda k, diverged: k < count, step, (tf.constant(0), tf.constant(-1, tf.int64)), parallel_iterations=1
            )
            return diverged, result()

        # The concrete function: TensorFlow takes several models' functions for one that is traced too often, and warns.
        self.function = run_steps.get_concrete_function()

    def __call__(self, calls: Iterator[Any]) -> dict[str, Any]:
        """Makes the steps of the next call."""
        first, count = next(calls)
        if self._strategy.num_replicas_in_sync == 1:
            return self._run(first, count)
        # What devices tell each other has one shape within a call of a graph, and steps differ in their distinct rows.
        logs: dict[str, Any] = {}
        for step in range(int(first), int(first) + int(count)):
            logs = self._run(tf.constant(step, tf.int64), tf.constant(1))
        return logs or self._run(first, count)

    def _run(self, first: tf.Tensor, count: tf.Tensor) -> dict[str, Any]:
        diverged, logs = self.function(first, count)
        if int(diverged) >= 0:
            raise _diverged(self._source, int(diverged))
        result: dict[str, Any] = logs
        return result


def _diverged(source: BatchSource, step: int) -> DivergedError:
    # A batch is a function of its step alone: it need not have been kept.
    batch = source.batch(source.draw(tf.constant([step], tf.int64)), tf.constant(0, tf.int64))
    columns = {name: column.numpy() for name, column in batch._asdict().items() if column is not None}
    return DivergedError(
        f"Training has diverged: the loss of step {step} (from 0) is not a finite number. Lower the learning rate, or look "
        "at the batch.",
        step,
        columns,
    )
