"""Losses of positives against negatives that the whole batch shares, or against all items.

A row is a positive: its policy weighs, drops or keeps it. The shared items are no rows. A row's own item can be among
them (with M of n items drawn, for a share M / n of the rows): for this row it is no negative. The user's other positives are
left among them. Under the softmax they belong there, as in any multinomial likelihood; under the other objectives they are a
small part of the weight that all pairs have, observed or not, as in implicit ALS (Rendle et al., RecSys'22).
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfadt.losses.objectives import Objective
from tfadt.sampling.replicas import Replicas

_LEAST_LOSS = 1e-30


class Contrast(NamedTuple):
    """The logits of a batch of positives and of the items that they stand against.

    Attributes:
        positive: float32 `[B]`, each row's own logit.
        shared: float32 `[U, M]`, the logits of the batch's distinct users for the M shared items.
        owner: int64 `[B]`, which of these users each row belongs to.
        drawn: bool `[B]`, whether the row's own item is among the shared ones.
    """

    positive: tf.Tensor
    shared: tf.Tensor
    owner: tf.Tensor
    drawn: tf.Tensor

    @property
    def num_others(self) -> tf.Tensor:
        """How many shared items are not the row's own: float32 `[B]`."""
        return tf.cast(tf.shape(self.shared)[1], tf.float32) - tf.cast(self.drawn, tf.float32)


class SharedLoss(NamedTuple):
    """What a batch of positives against shared negatives costs.

    Attributes:
        logits: float32 `[B]`, the log odds of each positive, which R-CE weighs by.
        loss: float32 `[B]`, the loss of each row, at least 0, which the policy weighs.
        beside: float32 scalar, what is added whatever the policy: the loss of the shared negatives; None for nothing. Over
            several replicas it is what the rows of this one add.
    """

    logits: tf.Tensor
    loss: tf.Tensor
    beside: tf.Tensor | None = None


def softmax(contrast: Contrast) -> SharedLoss:
    """The softmax over a row's positive and the shared items: `loss = -log p(positive)`.

    The logarithm of the probability of being drawn, which a sampled softmax subtracts from each logit, is the same for
    all items here and cancels. Only differences between logits count under a softmax, so the log odds of a row are those
    against one average negative, `positive - log(mean of exp(negative))`: with one negative BPR's margin, and no smaller
    with many.
    """
    total = tf.gather(_logsumexp(contrast.shared), contrast.owner)
    margin = total - contrast.positive
    # Where the own item is among the shared ones, the sum has it already.
    loss = tf.where(contrast.drawn, tf.maximum(margin, 0.0), tf.nn.softplus(margin))
    # p / (1 - p) = 1 / (exp(loss) - 1), times the number of the others.
    still = tf.maximum(tf.stop_gradient(loss), _LEAST_LOSS)
    odds_against = still + tf.math.log(-tf.math.expm1(-still))
    others = tf.maximum(contrast.num_others, 1.0)
    return SharedLoss(tf.math.log(others) - odds_against, loss)


def pointwise(contrast: Contrast, objective: Objective, negative_weight: float) -> SharedLoss:
    """Each positive on its own, and beside the rows `negative_weight` times the mean loss of the negatives of each row."""
    ones, zeros = tf.ones_like(contrast.positive), tf.zeros_like(contrast.positive)
    loss = objective.loss(ones, contrast.positive)
    as_negatives = objective.loss(tf.zeros_like(contrast.shared), contrast.shared)
    total = tf.gather(tf.reduce_sum(as_negatives, axis=1), contrast.owner)
    total -= tf.where(contrast.drawn, objective.loss(zeros, contrast.positive), 0.0)
    (mean,) = Replicas().means([total / tf.maximum(contrast.num_others, 1.0)])
    return SharedLoss(contrast.positive, loss, negative_weight * mean)


@tf.custom_gradient
def _logsumexp(logits: tf.Tensor) -> tuple[tf.Tensor, object]:
    """Returns the log of the sum of the exponentials of each row, with a gradient that keeps the exponentials."""
    top = tf.reduce_max(logits, axis=1, keepdims=True)
    exponentials = tf.exp(logits - top)
    total = tf.reduce_sum(exponentials, axis=1)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return exponentials * (upstream / total)[:, None]

    return tf.math.log(total) + top[:, 0], gradient
