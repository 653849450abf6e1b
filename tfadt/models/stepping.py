"""Many steps a call: the loop of train steps that runs on the device between two callbacks of `fit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfadt.sampling.batches import Batch, BatchSource


def chunk_plan(
    steps_per_epoch: int, epochs: int, steps_per_call: int, stop_every: int | None, first_step: int = 0
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Cuts a run into calls that never cross the end of an epoch or a multiple of `stop_every`.

    Keras wants the same number of calls in every epoch, so where an epoch needs fewer, its longest are halved.

    Args:
        steps_per_epoch: Steps of an epoch.
        epochs: Number of epochs.
        steps_per_call: Most steps of a call.
        stop_every: A call ends at each multiple of this many steps; None for no such stops.
        first_step: The first step's number.

    Returns:
        `((first, count), calls_per_epoch)`: int64 `[calls]` each, the first step and the number of steps of each call.
    """
    cut_at: list[list[int]] = []
    for epoch in range(epochs):
        begin = first_step + epoch * steps_per_epoch
        end = begin + steps_per_epoch
        cuts = set(range(begin, end, steps_per_call)) | {end}
        if stop_every:
            cuts |= set(range(-(-begin // stop_every) * stop_every, end, stop_every))
        cut_at.append(sorted(cuts))
    calls_per_epoch = max(len(cuts) for cuts in cut_at) - 1
    for bounds in cut_at:
        while len(bounds) - 1 < calls_per_epoch:
            longest = int(np.argmax(np.diff(np.asarray(bounds))))
            bounds.insert(longest + 1, (bounds[longest] + bounds[longest + 1]) // 2)
    first = np.concatenate([np.asarray(bounds[:-1], np.int64) for bounds in cut_at])
    count = np.concatenate([np.diff(np.asarray(bounds, np.int64)) for bounds in cut_at])
    return (first, count), calls_per_epoch


def make_stepper(
    source: BatchSource, train: Callable[[Batch], None], result: Callable[[], dict[str, Any]]
) -> Callable[[Iterator[Any]], dict[str, Any]]:
    """Returns a Keras train function that makes all the steps of a call in one graph, with no host sync between them.

    Args:
        source: Draws all the batches of a call in one vectorised go, before the loop.
        train: Makes one step on a batch; all variables that it needs exist already.
        result: Gives the logs, after the last step of a call.
    """

    @tf.function(
        input_signature=[tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int64)], jit_compile=False, autograph=False
    )
    def run_steps(first: tf.Tensor, count: tf.Tensor) -> dict[str, Any]:
        # A cumulative sum of ones, not tf.range: tf.range writes its result to host memory on a GPU.
        drawn = source.draw(first + tf.cumsum(tf.ones(count[None], tf.int64), exclusive=True))

        def step(k: tf.Tensor) -> tuple[tf.Tensor]:
            train(source.batch(drawn, k))
            return (k + 1,)

        tf.while_loop(lambda k: k < count, step, (tf.zeros([], tf.int64),), parallel_iterations=1)
        return result()

    # The concrete function: TensorFlow takes several models' functions for one that is traced too often, and warns.
    concrete = run_steps.get_concrete_function()
    return lambda iterator: concrete(*next(iterator))
