"""The control of T-CE: as many positives, drawn at random."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadt.denoising.base import Rows
from tfadt.denoising.random_drop import RandomDrop
from tfadt.denoising.truncated import TCE


def rows(count=400, seed=0):
    rng = np.random.default_rng(seed)
    ids = tf.constant(rng.integers(0, 50, count))
    labels = tf.constant(rng.integers(0, 2, count), tf.float32)
    loss = tf.constant(rng.uniform(0, 3, count), tf.float32)
    return Rows(ids, ids, labels, loss, -loss)


def weigh(policy, step, batch):
    weights, divisor = policy.weights(batch, tf.constant(step, tf.int64))
    return weights.numpy(), float(divisor)


@pytest.mark.parametrize("scope", ["batch", "positives"])
@pytest.mark.parametrize("mean_over", ["kept", "all"])
def test_it_drops_as_many_positives_as_tce_at_every_step(scope, mean_over):
    arguments = (0.2, 10, 1.0, scope, mean_over)
    control, tce = RandomDrop(*arguments), TCE(*arguments)
    for step in (0, 1, 4, 9, 30):
        batch = rows(seed=step)
        (own, divisor), (theirs, their_divisor) = (weigh(policy, step, batch) for policy in (control, tce))
        assert (own == 0).sum() == (theirs == 0).sum() > (-1 if step == 0 else 0)
        assert divisor == their_divisor
        assert (own[batch.labels.numpy() == 0] == 1).all()


def test_which_it_drops_has_nothing_to_do_with_the_loss():
    batch = rows(20_000)
    dropped = weigh(RandomDrop(0.2, 1), 5, batch)[0] == 0
    positive = batch.labels.numpy() > 0.5
    loss = batch.loss.numpy()
    # The mean of 4,000 of 10,000 uniform losses: standard error sqrt(.75 / 4,000) = .014.
    assert loss[dropped].mean() == pytest.approx(loss[positive].mean(), abs=0.05)


def test_draws_differ_from_step_to_step_and_repeat():
    batch, policy = rows(), RandomDrop(0.2, 1)
    first, again, other = (weigh(policy, step, batch)[0] for step in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_it_tells_no_interaction_from_another_and_comes_back_from_its_config():
    policy = RandomDrop(0.2, 7, scope="positives")
    policy.prepare(100, 0.5)
    assert policy.dropped_share(0.5, 50) == 0.0
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(policy))
    assert isinstance(back, RandomDrop)
    assert back.get_config() == policy.get_config()
