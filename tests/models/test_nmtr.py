"""NMTR: both tasks' losses by hand, and what the second head learns."""

import numpy as np
import pytest
import tensorflow as tf
from model_cases import checkerboard, make

from tfadt.errors import ConfigError, DataError
from tfadt.models.nmtr import NMTR
from tfadt.sampling.batches import Batch

USERS, ITEMS = tf.constant([0, 1, 2], tf.int64), tf.constant([4, 5, 6], tf.int64)


def softplus(x):
    return np.log1p(np.exp(np.asarray(x, np.float64)))


def with_weights(**settings):
    """Weights large enough that the heads differ."""
    model = make(NMTR, checkerboard(), **settings)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return model


def test_the_second_head_stands_on_the_first_and_ranks():
    model = with_weights()
    p, q = model.user_table.numpy()[[0, 1, 2]], model.item_table.numpy()[[4, 5, 6]]
    click, satisfaction = model.heads(USERS, ITEMS)
    expected = (p * q) @ model.click_kernel.numpy()[:, 0] + model.click_bias.numpy()
    np.testing.assert_allclose(click, expected, rtol=1e-4)
    expected += (p * q) @ model.satisfaction_kernel.numpy()[:, 0] + model.satisfaction_bias.numpy()
    np.testing.assert_allclose(satisfaction, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.score_pairs(USERS, ITEMS), satisfaction)


def test_the_loss_of_a_row_is_that_of_both_tasks():
    model = with_weights(click_weight=0.25)
    model.compile()
    # Known to be liked, clicked, sampled.
    batch = Batch(USERS, ITEMS, tf.constant([1.0, 1.0, 0.0]), None, None, tf.constant([1.0, 0.0, 0.0]))
    click, satisfaction = (head.numpy() for head in model.heads(USERS, ITEMS))
    first = softplus([-click[0], -click[1], click[2]])
    # Nobody knows whether the second click was liked: it is none of the second task's.
    second = softplus([-satisfaction[0], -np.inf, satisfaction[2]])
    value, loss, _ = model.batch_loss(batch)
    np.testing.assert_allclose(loss, 0.25 * first + 0.75 * second, rtol=1e-4)
    assert float(value) == pytest.approx(float(np.mean(loss)), rel=1e-5)
    # In validation nothing is known: a click counts as liked.
    _, loss, _ = model.batch_loss(batch._replace(known_positive=None))
    np.testing.assert_allclose(loss[1], 0.25 * softplus(-click[1]) + 0.75 * softplus(-satisfaction[1]), rtol=1e-4)


def test_of_a_pair_the_second_task_speaks_only_where_the_click_is_known_to_be_liked():
    model = with_weights(click_weight=0.25)
    model.compile(objective="bpr")
    negatives = tf.constant([7, 8, 9], tf.int64)
    batch = Batch(USERS, ITEMS, tf.ones(3), negatives, None, tf.constant([1.0, 0.0, 1.0]))
    observed, sampled = (np.array(model.heads(USERS, items)) for items in (ITEMS, negatives))
    click, satisfaction = observed - sampled
    _, loss, _ = model.batch_loss(batch)
    expected = 0.25 * softplus(-click) + 0.75 * np.array([1, 0, 1]) * softplus(-satisfaction)
    np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-6)


def test_a_click_of_which_nothing_is_known_moves_nothing_in_the_second_task_alone():
    model = with_weights(click_weight=0.0)
    model.compile()
    batch = Batch(USERS, ITEMS, tf.constant([1.0, 1.0, 0.0]), None, None, tf.constant([1.0, 0.0, 0.0]))
    with tf.GradientTape() as tape:
        value, _, _ = model.batch_loss(batch)
    moved = tf.convert_to_tensor(tape.gradient(value, model.user_table.value)).numpy()
    assert (np.abs(moved[[0, 1, 2]]).max(axis=1) > 0).tolist() == [True, False, True]


def test_without_extra_feedback_it_is_refused():
    data = checkerboard()
    model = make(NMTR, data)
    model.compile()
    with pytest.raises(DataError, match="NMTR needs extra feedback"):
        model.fit(data.with_extra_feedback(None))


@pytest.mark.parametrize("weight", [-0.5, 1.5])
def test_a_share_out_of_range_is_refused(weight):
    with pytest.raises(ConfigError, match=r"click_weight must lie in \[0, 1\]"):
        make(NMTR, checkerboard(), click_weight=weight)
