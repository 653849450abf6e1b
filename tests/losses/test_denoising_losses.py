"""T-CE and R-CE as Keras losses: reference values, hand-computed cases, fit, serialisation."""

import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_cases import GOLDEN

from tfadt.errors import ConfigError
from tfadt.losses import DropRateSchedule, ReweightedBinaryCrossentropy, TruncatedBinaryCrossentropy

CASES = json.loads((GOLDEN / "losses.json").read_text())


def loss_of(case):
    if case["loss"] == "r_ce":
        return ReweightedBinaryCrossentropy(case["beta"], from_logits=True)
    loss = TruncatedBinaryCrossentropy(case["drop_rate"], num_gradual=1, from_logits=True)
    loss.drop_rate.assign(case["drop_rate"])
    return loss


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['loss']}-{c.get('drop_rate', c.get('beta'))}-{len(c['logits'])}")
def test_value_and_gradient_match_the_authors_code(case):
    logits = tf.Variable(case["logits"], dtype=tf.float32)
    with tf.GradientTape() as tape:
        value = loss_of(case)(tf.constant(case["labels"], tf.float32), logits)
    assert float(value) == pytest.approx(case["value"], abs=1e-6)
    np.testing.assert_allclose(tape.gradient(value, logits), case["gradient"], rtol=0, atol=1e-6)


def test_truncation_drops_the_hardest_positive_and_averages_over_the_kept():
    # Probabilities .9, .2 (positives) and .5, .1 (negatives); a quarter of four rows is one: the positive at .2 goes.
    loss = TruncatedBinaryCrossentropy(0.25, num_gradual=1)
    loss.drop_rate.assign(0.25)
    value = float(loss(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.2, 0.5, 0.1])))
    assert value == pytest.approx(-(np.log(0.9) + np.log(0.5) + np.log(0.9)) / 3, abs=1e-6)


def test_truncation_starts_without_dropping():
    loss = TruncatedBinaryCrossentropy(0.25)
    value = float(loss(np.array([1.0, 0.0]), np.array([0.5, 0.5])))
    assert value == pytest.approx(np.log(2), abs=1e-6)


def test_reweighting_weighs_by_a_power_of_the_probability():
    value = float(ReweightedBinaryCrossentropy(0.5)(np.array([1.0, 0.0]), np.array([0.25, 0.36])))
    expected = (0.25**0.5 * -np.log(0.25) + 0.64**0.5 * -np.log(0.64)) / 2
    assert value == pytest.approx(expected, abs=1e-6)


def test_reweighting_positives_only_leaves_negatives_alone():
    value = float(ReweightedBinaryCrossentropy(1.0, positives_only=True)(np.array([1.0, 0.0]), np.array([0.5, 0.5])))
    assert value == pytest.approx((0.5 * np.log(2) + np.log(2)) / 2, abs=1e-6)


@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_reductions_keep_the_shape_or_add_up(reduction):
    loss = ReweightedBinaryCrossentropy(0.0, reduction=reduction)
    value = loss(np.array([[1.0], [0.0]]), np.array([[0.5], [0.5]])).numpy()
    expected = [[np.log(2)], [np.log(2)]] if reduction == "none" else 2 * np.log(2)
    np.testing.assert_allclose(value, expected, atol=1e-6)


def test_sample_weights_multiply_the_rows():
    value = float(ReweightedBinaryCrossentropy(0.0)(np.array([1.0, 0.0]), np.array([0.5, 0.5]), sample_weight=[2.0, 0.0]))
    assert value == pytest.approx(np.log(2), abs=1e-6)


def test_any_keras_model_trains_with_the_truncated_loss_and_its_schedule():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    loss = TruncatedBinaryCrossentropy(0.2, num_gradual=8, from_logits=True)
    model.compile("adam", loss=loss, metrics=["accuracy"])
    seen = []
    spy = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(float(loss.drop_rate.numpy())))
    history = model.fit(x, y, batch_size=64, epochs=3, verbose=0, callbacks=[DropRateSchedule(loss), spy])
    np.testing.assert_allclose(seen, 0.2 * np.minimum(np.arange(12) / 7, 1))
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_the_schedule_goes_by_the_optimizers_count_and_goes_on_when_training_does():
    x, y = np.zeros((64, 2), "float32"), np.ones(64, "float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    loss = TruncatedBinaryCrossentropy(0.2, num_gradual=9, from_logits=True)
    model.compile("adam", loss=loss)
    with pytest.warns(UserWarning, match="outlasts the run"):
        model.fit(x, y, batch_size=16, epochs=1, verbose=0, callbacks=[DropRateSchedule(loss)])
    assert float(loss.drop_rate.numpy()) == pytest.approx(0.2 * 3 / 8)
    model.fit(x, y, batch_size=16, epochs=3, initial_epoch=1, verbose=0, callbacks=[DropRateSchedule(loss)])
    assert float(loss.drop_rate.numpy()) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "loss",
    [
        TruncatedBinaryCrossentropy(0.1, num_gradual=50, exponent=2.0, from_logits=True),
        ReweightedBinaryCrossentropy(0.5, positives_only=True, from_logits=True),
    ],
    ids=["truncated", "reweighted"],
)
def test_serialises_and_comes_back(loss):
    back = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(back) is type(loss)
    assert back.get_config() == loss.get_config()


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"beta must be at least 0\. Received: -1"):
        ReweightedBinaryCrossentropy(-1)
    with pytest.raises(ConfigError, match=r"max_drop_rate must lie in \[0, 1\). Received: 1"):
        TruncatedBinaryCrossentropy(1)


def test_without_its_schedule_the_truncated_loss_says_that_it_drops_nothing():
    x, y = np.zeros((64, 2), "float32"), np.ones(64, "float32")

    def fit(*callbacks):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        loss = TruncatedBinaryCrossentropy(0.2, num_gradual=2, from_logits=True)
        model.compile("adam", loss=loss)
        model.fit(x, y, verbose=0, callbacks=[callback(loss) for callback in callbacks])

    with pytest.warns(UserWarning, match=r"drops nothing.*DropRateSchedule\(loss\)"):
        fit()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(DropRateSchedule)
