"""Losses of positives against shared negatives, and what policies do with such rows: numbers by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfadt.denoising.base import Rows
from tfadt.denoising.clean_only import CleanOnly
from tfadt.denoising.negative_reweighting import NR
from tfadt.denoising.reweighted import RCE
from tfadt.denoising.truncated import TCE
from tfadt.errors import ConfigError
from tfadt.losses.objectives import get_objective
from tfadt.losses.shared import Contrast, pointwise, softmax

LN = np.log


def contrast(positive, shared, owner, drawn):
    return Contrast(
        tf.constant(positive, tf.float32),
        tf.constant(shared, tf.float32),
        tf.constant(owner, tf.int64),
        tf.constant(drawn, tf.bool),
    )


# User 0 has exp(logits) 1, 2, 3 for the three shared items, user 1 has 1, 1, 4.
SHARED = [[0.0, LN(2), LN(3)], [0.0, 0.0, LN(4)]]


def test_softmax_is_the_probability_among_the_positive_and_the_shared_items():
    found = softmax(contrast([LN(2), LN(3), 0.0], SHARED, [0, 0, 1], [False, False, False]))
    # p = 2 / (2 + 6), 3 / (3 + 6), 1 / (1 + 6).
    np.testing.assert_allclose(found.loss, LN([4, 3, 7]), rtol=1e-6)
    # The odds against the average negative, whose exp is 2: 2 / 2, 3 / 2, 1 / 2.
    np.testing.assert_allclose(found.logits, LN([1, 1.5, 0.5]), atol=1e-6)
    assert found.beside is None


def test_a_rows_own_item_among_the_shared_ones_stands_once():
    found = softmax(contrast([LN(3), LN(4)], SHARED, [0, 1], [True, True]))
    # p = 3 / 6 and 4 / 6; two negatives are left, of mean exp 1.5 and 1.
    np.testing.assert_allclose(found.loss, LN([2, 1.5]), rtol=1e-6)
    np.testing.assert_allclose(found.logits, LN([2, 4]), rtol=1e-5)


def test_with_one_negative_the_softmax_is_bpr():
    found = softmax(contrast([0.7, -2.0], [[0.2], [1.0]], [0, 1], [False, False]))
    margin = tf.constant([0.5, -3.0])
    np.testing.assert_allclose(found.loss, get_objective("bpr").loss(None, margin), rtol=1e-6)
    np.testing.assert_allclose(found.logits, margin, rtol=1e-5)


@pytest.mark.parametrize("size", [-200.0, 200.0])
def test_the_softmax_stays_finite_and_so_does_its_gradient(size):
    positive, shared = tf.constant([size]), tf.constant([[0.0, 1.0]])
    for drawn in (False, True):
        with tf.GradientTape() as tape:
            tape.watch([positive, shared])
            found = softmax(Contrast(positive, shared, tf.constant([0], tf.int64), tf.constant([drawn])))
        gradients = tape.gradient(found.loss, [positive, shared])
        assert all(np.isfinite(x).all() for x in (found.loss, found.logits, *gradients))
        assert found.loss[0] >= 0


def test_the_gradient_of_the_softmax_is_that_of_a_dense_one():
    logits = tf.random.stateless_normal([2, 5], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        positive = tf.gather(logits, [2, 4], batch_dims=1)
        loss = softmax(Contrast(positive, logits, tf.constant([0, 1], tf.int64), tf.constant([True, True]))).loss
    expected = tf.nn.softmax(logits) - tf.one_hot([2, 4], 5)
    np.testing.assert_allclose(tape.gradient(loss, logits), expected, atol=1e-6)
    np.testing.assert_allclose(loss, -tf.gather(tf.nn.log_softmax(logits), [2, 4], batch_dims=1), rtol=1e-5)


def test_pointwise_losses_add_their_negatives_beside_the_rows():
    objective = get_objective("binary_crossentropy")
    found = pointwise(contrast([LN(3), LN(3)], SHARED, [0, 1], [True, False]), objective, 4.0)
    np.testing.assert_allclose(found.loss, LN([4 / 3, 4 / 3]), rtol=1e-6)  # p = 3/4
    np.testing.assert_allclose(found.logits, LN([3, 3]), rtol=1e-6)
    # -log(1 - p) = log(1 + exp): row 0 has the negatives of exp 1 and 2, its own item left out; row 1 those of 1, 1 and 4.
    means = (LN(2) + LN(3)) / 2, (LN(2) + LN(2) + LN(5)) / 3
    np.testing.assert_allclose(found.beside, 4.0 * np.mean(means), rtol=1e-6)
    # (sigmoid - label)^2, weight 1.
    found = pointwise(contrast([LN(3)], SHARED[:1], [0], [False]), get_objective("square"), 1.0)
    np.testing.assert_allclose(found.loss, [1 / 16], rtol=1e-5)
    np.testing.assert_allclose(found.beside, (1 / 4 + 4 / 9 + 9 / 16) / 3, rtol=1e-5)


def rows(found, false_positive=None):
    flags = None if false_positive is None else tf.constant(false_positive, tf.float32)
    users = tf.zeros_like(found.loss, tf.int64)
    return Rows(users, users, tf.ones_like(found.loss), found.loss, found.logits, None, flags)


def test_what_policies_do_with_rows_of_the_softmax():
    # Losses log 4, log 3, log 7 and 2; odds against the average negative 1, 3/2, 1/2.
    found = softmax(contrast([LN(2), LN(3), 0.0], SHARED, [0, 0, 1], [False] * 3))
    step = tf.constant(5, tf.int64)
    # T-CE's rate is a share of the positives, which are all rows: a third of them is the one of the largest loss.
    for scope in ("batch", "positives"):
        policy = TCE(1 / 3, num_gradual=1, scope=scope)
        policy.prepare(10, 1.0)
        weights, divisor = policy.weights(rows(found), tf.constant(1, tf.int64))
        assert weights.numpy().tolist() == [1.0, 1.0, 0.0]
        assert float(divisor) == 2.0
    # R-CE's weight is a power of the probability against one average negative: odds / (1 + odds).
    weights, divisor = RCE(2.0).weights(rows(found), step)
    np.testing.assert_allclose(weights, np.square([1 / 2, 3 / 5, 1 / 3]), rtol=1e-5)
    assert float(divisor) == 3.0
    weights, divisor = CleanOnly().weights(rows(found, [0.0, 1.0, 0.0]), step)
    assert (weights.numpy().tolist(), float(divisor)) == ([1.0, 0.0, 1.0], 2.0)


def test_negative_reweighting_has_no_place_among_positives_alone():
    with pytest.raises(ConfigError, match=r"NR makes negatives of clicks.*shared negatives"):
        NR().prepare(100, 1.0)
