"""Batches drawn on the device: each a pure function of (seed, step), so a resumed run repeats them bit for bit."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.sampling.columns import DeviceColumns
from tfadt.sampling.negatives import NegativeSampler
from tfadt.sampling.permutation import KeyedPermutation


class Batch(NamedTuple):
    """The rows of one step.

    Attributes:
        users: int64 `[B]`.
        items: int64 `[B]`.
        labels: float32 `[B]`, 1 observed, 0 sampled.
        negatives: int64 `[B]`, the second item of each pair, for pairwise objectives; else None.
        false_positive: float32 `[B]`, 1 where feedback says that the observed item was disliked; None without feedback.
        known_positive: float32 `[B]`, 1 where extra feedback says that the observed item is liked; None where nobody asks.
        interactions: int64 `[B]`, which of the source's interactions a row shows, -1 for a sampled one; None where nobody
            asks.
        shared: int64 `[M]`, distinct items, ascending, that all rows stand against; None without shared negatives.
    """

    users: tf.Tensor
    items: tf.Tensor
    labels: tf.Tensor
    negatives: tf.Tensor | None = None
    false_positive: tf.Tensor | None = None
    known_positive: tf.Tensor | None = None
    interactions: tf.Tensor | None = None
    shared: tf.Tensor | None = None

    @property
    def pairs(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Users and items of all pairs to score: those of the rows, and for pairwise objectives then their negatives."""
        if self.negatives is None:
            return self.users, self.items
        return tf.concat([self.users, self.users], 0), tf.concat([self.items, self.negatives], 0)

    def per_row(self, scores: tf.Tensor) -> tf.Tensor:
        """Returns the score of each row, `[B]`, given those of `pairs`: with negatives the margin between the two items."""
        if self.negatives is None:
            return scores
        observed, sampled = tf.split(scores, 2)
        return observed - sampled


class BatchSource(Protocol):
    """Draws the batches of many steps at once, then hands them out one by one.

    Attributes:
        steps_per_epoch: Steps in which each row is visited once.
        positive_share: Share of the rows of an epoch that are positives; 1 for pairs.
        has_feedback: Whether the batches tell false positives.
        without_negative: Positives whose user has every item, which get no negative.
    """

    steps_per_epoch: int
    positive_share: float
    has_feedback: bool
    without_negative: int

    def draw(self, steps: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        """Returns what the steps int64 `[K]` need, drawn in one vectorised go."""

    def batch(self, drawn: tuple[tf.Tensor | None, ...], k: tf.Tensor) -> Batch:
        """Returns the batch of the k-th of the drawn steps."""


class PairSource:
    """Rows of all users shuffled together: positives and sampled negatives, or (positive, negative) pairs.

    An epoch visits every row once: row r below n is the r-th interaction, the rows after it are negatives, `num_negatives`
    for each interaction whose user has an unseen item. With `pairwise`, the rows are the negatives alone, each beside the
    positive that it belongs to. The last batch of an epoch is shorter.

    Args:
        rows: The interactions.
        sampler: Draws negatives; None where no negative is asked for.
        batch_size: Rows a step, negatives counted.
        num_negatives: Negatives for each positive; 0 for rows of positives alone.
        pairwise: Whether a row is a pair (BPR).
        seed: The seed of the order.
        numbered: Whether batches tell which interaction a row shows.

    Raises:
        DataError: If there is nothing to draw from.
    """

    def __init__(
        self,
        rows: Interactions,
        sampler: NegativeSampler | None,
        batch_size: int = 1024,
        num_negatives: int = 1,
        pairwise: bool = False,
        seed: int = 0,
        numbered: bool = False,
    ):
        self._numbered = numbered
        self._columns = DeviceColumns(rows, sampler, num_negatives, pairwise)
        self._sampler = sampler
        self._pairwise = pairwise
        self._first_negative = 0 if pairwise else self._columns.num_positives
        self.num_rows = self._first_negative + self._columns.num_negative_rows
        self.batch_size = min(batch_size, self.num_rows)
        self.steps_per_epoch = -(-self.num_rows // self.batch_size)
        self.positive_share = 1.0 if pairwise else self._columns.num_positives / self.num_rows
        self.has_feedback = rows.false_positive is not None
        self.without_negative = self._columns.without_negative
        self._permutation = KeyedPermutation(self.num_rows, seed)
        self._arange = np.arange(self.batch_size, dtype=np.int64)

    def draw(self, steps: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        """Returns the columns `[K, batch_size]` of the steps `[K]`, and the number of true rows of each step."""
        columns = self._columns
        epoch = (steps // self.steps_per_epoch)[:, None]
        first = (steps % self.steps_per_epoch)[:, None] * self.batch_size
        size = tf.minimum(self.num_rows - first[:, 0], self.batch_size)
        index = tf.minimum(first + self._arange, self.num_rows - 1)
        row = self._permutation(index, epoch)
        if self._sampler is None or not columns.num_negative_rows:
            users, items, *flags = columns.gather(row)
            number = row if self._numbered else None
            return users, items, tf.ones_like(users, tf.float32), None, *flags, number, size
        is_negative = row >= self._first_negative
        base = tf.where(is_negative, columns.eligible_row(row - self._first_negative), row)
        users, observed, *flags = columns.gather(base)
        number = tf.where(is_negative & (not self._pairwise), tf.constant(-1, tf.int64), base) if self._numbered else None
        if self._pairwise:
            return users, observed, tf.ones_like(users, tf.float32), self._sampler(users, epoch, row), *flags, number, size
        labels = 1.0 - tf.cast(is_negative, tf.float32)
        flags = [None if flag is None else flag * labels for flag in flags]
        # Drawing is the dearest part: only for the rows that are negatives. All flat, as GPUs have no GatherNd of int64.
        where = tf.where(tf.reshape(is_negative, [-1]))
        which = where[:, 0]
        flat_users, flat_rows = (tf.gather(tf.reshape(column, [-1]), which) for column in (users, row))
        sampled = self._sampler(flat_users, tf.gather(epoch[:, 0], which // self.batch_size), flat_rows)
        items = tf.tensor_scatter_nd_update(tf.reshape(observed, [-1]), where, sampled)
        return users, tf.reshape(items, tf.shape(observed)), labels, None, *flags, number, size

    def batch(self, drawn: tuple[tf.Tensor | None, ...], k: tf.Tensor) -> Batch:
        """Returns the true rows of the k-th drawn step."""
        size = drawn[-1][k]  # type: ignore[index]
        return Batch(*(None if column is None else column[k][:size] for column in drawn[:-1]))
