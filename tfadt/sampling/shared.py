"""Negatives that all rows of a batch share: items drawn once a step, so that all scores are one matrix product."""

from __future__ import annotations

import tensorflow as tf

from tfadt.errors import ConfigError
from tfadt.sampling.batches import Batch, BatchSource
from tfadt.sampling.permutation import KeyedPermutation

_STREAM = 0x60


class SharedSampler:
    """Draws distinct items for a step, each set of them with the same probability.

    They are the first of a permutation of the catalogue that is keyed by (seed, step). An item that the users of the batch
    have clicked can be among them; what that means is the objective's affair (`tfadt.losses.shared`).

    Args:
        num_items: Size of the catalogue.
        num_negatives: Items a step; as many as there are, where that is fewer.
        seed: The seed.

    Raises:
        ConfigError: If `num_negatives` is below 1.
    """

    def __init__(self, num_items: int, num_negatives: int, seed: int = 0):
        if num_negatives < 1:
            raise ConfigError(f"num_negatives must be at least 1. Received: {num_negatives}.")
        self.num_negatives = min(num_negatives, num_items)
        self._permutation = KeyedPermutation(num_items, seed, _STREAM)

    def __call__(self, steps: tf.Tensor) -> tf.Tensor:
        """Returns the items of the steps int64 `[K]`, ascending: int64 `[K, num_negatives]`."""
        # A cumulative sum of ones, not tf.range: tf.range writes its result to host memory on a GPU.
        first = tf.cumsum(tf.ones([1, self.num_negatives], tf.int64), axis=1, exclusive=True)
        return tf.sort(self._permutation(tf.tile(first, [tf.size(steps), 1]), steps[:, None]), axis=1)


class SharedSource:
    """Batches of positives from one source, beside the shared negatives of their step.

    Args:
        positives: Draws the rows, all of them positives.
        sampler: Draws the items; None where the rows stand against the whole catalogue.
    """

    positive_share = 1.0
    without_negative = 0

    def __init__(self, positives: BatchSource, sampler: SharedSampler | None):
        self._positives = positives
        self._sampler = sampler
        self.steps_per_epoch = positives.steps_per_epoch
        self.has_feedback = positives.has_feedback

    def draw(self, steps: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        """Returns what the positives of the steps `[K]` need, and last the items `[K, num_negatives]`."""
        shared = None if self._sampler is None else self._sampler(steps)
        return *self._positives.draw(steps), shared

    def batch(self, drawn: tuple[tf.Tensor | None, ...], k: tf.Tensor) -> Batch:
        """Returns the rows of the k-th drawn step and its items."""
        *rows, shared = drawn
        return self._positives.batch(tuple(rows), k)._replace(shared=None if shared is None else shared[k])
