"""DCF by hand: what is dropped goes by a lower bound of the mean loss, and what is surely false becomes a negative."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import Rows
from tfadt.denoising.dcf import DCF
from tfadt.errors import ConfigError

STEP = tf.constant(5, tf.int64)
MODEL = SimpleNamespace(iteration=5)


def make(**settings):
    policy = DCF(0.5, 1, scope="positives", window=2, variance=0.5, **{"relabel_ratio": 1.0, **settings})
    policy.prepare(10, 0.5)
    policy.build(Interactions(np.array([0, 0]), np.array([0, 1])), 1, 2)
    return policy


def rows(first, second):
    """The two interactions with losses that are damped to these numbers, and a negative."""
    loss = tf.constant([-1 + np.sqrt(2 * np.exp(a) - 1) for a in (first, second, 9.0)], tf.float32)
    ids, labels = tf.zeros(3, tf.int64), tf.constant([1.0, 1.0, 0.0])
    return Rows(ids, ids, labels, loss, -loss, interactions=tf.constant([0, 1, -1], tf.int64))


def epoch(policy, number, first, second):
    policy.on_epoch_begin(number)
    batch = rows(first, second)
    weights, divisor = policy.weights(batch, STEP)
    policy.observe(batch, weights, STEP)
    assert float(divisor) == 2
    return weights.numpy().tolist()


def test_a_click_that_was_not_kept_is_given_another_chance():
    policy = make()
    # Bound v (1 + v log 2) / (1 - v) = 1.347 for both: 0 and .653, so the second goes.
    assert epoch(policy, 0, 1.0, 2.0) == [1, 0, 1]
    # Means 1.5 and 1.8; v (2 + v log 4 / 4) = 1.0866 over 1.5 (kept once) and over .5: .776 and 0, so the first goes.
    np.testing.assert_allclose(policy.damped, [[1.0, 0], [2.0, 0]], atol=1e-6)
    policy.on_epoch_begin(1)
    np.testing.assert_allclose(policy.hardness(rows(2.0, 1.6), STEP)[:2], [1.5 - 1.086643 / 1.5, 0.0], atol=1e-5)
    assert epoch(policy, 1, 2.0, 1.6) == [0, 1, 1]
    # The window is two epochs long: the next one takes the place of the first.
    epoch(policy, 2, 0.5, 0.5)
    np.testing.assert_allclose(policy.damped, [[0.5, 2.0], [0.5, 1.6]], atol=1e-6)


def test_the_surest_become_negatives_once():
    policy = make()
    epoch(policy, 0, 1.0, 2.0)
    epoch(policy, 1, 2.0, 1.6)
    for _ in range(2):  # a run that was cut at the end of the epoch comes by again
        policy.on_epoch_end(1, MODEL)
        # Half of two clicks is dropped. Both were kept once, so the one with the mean 1.8 goes, not the one with 1.5.
        np.testing.assert_array_equal(policy.label, [1, 0])
    labels, factor = policy.relabel(tf.constant([1.0, 1.0, 0.0]), None, tf.constant([0, 1, -1], tf.int64))
    np.testing.assert_array_equal(labels, [1, 0, 0])
    assert factor is None
    assert policy.relabel(tf.constant([1.0]), None, None)[0].numpy() == 1  # validation


def test_of_a_negative_nothing_is_noted():
    policy = make()
    policy.label.assign([1.0, 0.0])
    policy.on_epoch_begin(0)
    batch = rows(1.0, 2.0)
    batch = batch._replace(labels=policy.relabel(batch.labels, None, batch.interactions)[0])
    policy.observe(batch, tf.ones(3), STEP)
    np.testing.assert_allclose(policy.damped[:, 0], [1.0, 0.0], atol=1e-6)


def test_bad_arguments_are_named_and_the_config_comes_back():
    for settings in ({"window": 0}, {"variance": 1.0}, {"relabel_ratio": 1.5}):
        with pytest.raises(ConfigError, match=f"{next(iter(settings))} must .* Received"):
            DCF(**settings)
    with pytest.raises(ConfigError, match="relabel_ratio = 0, or another objective"):
        DCF(num_gradual=1).prepare(10, 1.0)
    DCF(num_gradual=1, relabel_ratio=0.0).prepare(10, 1.0)
    policy = make()
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(policy))
    assert isinstance(back, DCF)
    assert back.get_config() == policy.get_config()
