"""Negative items for a user, outside the observed ones: exact, without rejection, hence without a loop."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import CSR
from tfadt.sampling.hashing import derive_key, hash32, scale

_STREAM = 0x4E


class NegativeSampler:
    """Draws items that a user has not observed, each with a probability proportional to its integer mass.

    Lay the items out on a line, each as long as its mass, and cut the user's observed items out: what is left has length
    `T - M_u`. A hash of (seed, epoch, row) gives a point r on it. The observed item s_j starts at C(s_j) on the whole line
    and at C(s_j) - M_j on the shortened one, M_j being the mass of the observed items before it; so the item at r is found
    by adding back the mass of the observed items with C(s_j) - M_j <= r: one `searchsorted` over all users' keys
    `u * T + C(s_j) - M_j`. With equal masses the point is the item itself.

    Args:
        observed: The items that must not be drawn, by user.
        num_items: Size of the catalogue.
        mass: int64 `[num_items]`, each at least 0, at least 1 for an observed item; None for equal masses (uniform).
        seed: The seed.

    Attributes:
        eligible: bool `[num_users]` (numpy), False for a user who has every item that can be drawn.
    """

    def __init__(self, observed: CSR, num_items: int, mass: np.ndarray | None = None, seed: int = 0):
        self.seed = seed
        masses = np.ones(num_items, np.int64) if mass is None else np.asarray(mass, np.int64)
        start = np.concatenate([[0], np.cumsum(masses)])
        self._total = int(start[-1])
        taken = masses[observed.items]
        running = np.concatenate([[0], np.cumsum(taken)])
        user = np.repeat(np.arange(len(observed.counts)), observed.counts)
        before = running[:-1] - running[observed.offsets[user]]
        free = self._total - (running[observed.offsets[1:]] - running[observed.offsets[:-1]])
        self.eligible = free > 0
        self._keys = tf.Variable(user * self._total + start[observed.items] - before, trainable=False)
        self._offsets = tf.Variable(observed.offsets[:-1], trainable=False)
        self._free = tf.Variable(free, trainable=False)
        self._uniform = mass is None
        if not self._uniform:
            self._running = tf.Variable(running, trainable=False)
            self._start = tf.Variable(start, trainable=False)

    def __call__(self, users: tf.Tensor, epoch: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """Returns one item for each user, int64 of `users`' shape.

        Args:
            users: int64, eligible users only.
            epoch: int64, broadcasts against `users`.
            row: int64 of `users`' shape; the same (seed, epoch, row) always draws the same.
        """
        point = scale(hash32(derive_key(self.seed, _STREAM, epoch), row), tf.gather(self._free, users))
        found = tf.searchsorted(self._keys, tf.reshape(users * self._total + point, [-1]), side="right", out_type=tf.int64)
        found = tf.reshape(found, tf.shape(users))
        offset = tf.gather(self._offsets, users)
        if self._uniform:
            return point + found - offset
        point += tf.gather(self._running, found) - tf.gather(self._running, offset)
        item = tf.searchsorted(self._start, tf.reshape(point, [-1]), side="right", out_type=tf.int64) - 1
        return tf.reshape(item, tf.shape(users))
