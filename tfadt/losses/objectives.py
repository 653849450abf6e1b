"""Losses of single rows, on which every denoising policy works (the paper's section 3.3: CE, square loss, BPR)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfadt.errors import ConfigError, did_you_mean


class Objective(NamedTuple):
    """A loss of one row.

    Attributes:
        loss: `(labels, logits) -> loss`, all float32 `[B]`.
        pairwise: Whether a row is a (positive, negative) pair and its logit the margin between the two.
        listwise: Whether a row is a positive against items that the whole batch shares (`tfadt.losses.shared`); `loss` then
            is that of one against one.
    """

    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    pairwise: bool = False
    listwise: bool = False


def binary_crossentropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of `sigmoid(logits)` and the labels."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)


def square(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """`(sigmoid(logits) - labels) ** 2`."""
    return tf.math.squared_difference(tf.sigmoid(logits), labels)


def bpr(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """`-log sigmoid(margin)`, Bayesian personalised ranking; every label is 1."""
    del labels
    return tf.nn.softplus(-logits)


OBJECTIVES: dict[str, Objective] = {
    "binary_crossentropy": Objective(binary_crossentropy),
    "square": Objective(square),
    "bpr": Objective(bpr, pairwise=True),
    "softmax": Objective(bpr, listwise=True),
}
"""Objectives by the name that `adt.objective` has for them."""


def get_objective(name: str) -> Objective:
    """Returns the objective of that name.

    Raises:
        ConfigError: If there is none; the nearest is suggested.
    """
    if name not in OBJECTIVES:
        raise ConfigError(f"Unknown objective '{name}'.{did_you_mean(name, OBJECTIVES)}")
    return OBJECTIVES[name]
