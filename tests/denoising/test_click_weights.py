"""Policies that weigh clicks: the weights by hand, that each row of a batch carries its own, and what is refused."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_cases import SMALL, checkerboard, make

from tfadt.config.loading import load_config
from tfadt.data.interactions import Interactions
from tfadt.denoising.base import Rows
from tfadt.denoising.click_weights import ClickWeights
from tfadt.denoising.noise_model import NoiseModel
from tfadt.denoising.noise_weights import NoiseWeights
from tfadt.denoising.popularity import Popularity
from tfadt.denoising.random_drop import RandomDrop
from tfadt.denoising.standard import Standard
from tfadt.errors import ConfigError, DataError
from tfadt.training.plan import make_policy

STEP = tf.constant(0, tf.int64)
IDS = tf.zeros([4], tf.int64)


class ByItem(ClickWeights):
    """Weighs a click by its item's code."""

    def interaction_weights(self, rows: Interactions) -> np.ndarray:
        return rows.item.astype(np.float32)

    def get_config(self) -> dict[str, Any]:
        return {}


def test_popularity_weighs_by_the_power_of_the_count_over_its_mean() -> None:
    rows = Interactions(np.arange(4), np.array([0, 0, 0, 2]))
    # Counts 3, 3, 3, 1: their mean is 2.5.
    np.testing.assert_allclose(Popularity(1).interaction_weights(rows), [1.2, 1.2, 1.2, 0.4], rtol=1e-6)
    roots = np.sqrt([3, 3, 3, 1])
    np.testing.assert_allclose(Popularity().interaction_weights(rows), roots / roots.mean(), rtol=1e-6)
    assert Popularity(0).interaction_weights(rows).tolist() == [1, 1, 1, 1]


def test_the_noise_model_weighs_by_the_power_of_one_minus_p_over_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NoiseModel, "fit", classmethod(lambda cls, *_: cls.__new__(cls)))
    monkeypatch.setattr(NoiseModel, "probabilities", lambda *_: np.array([0.0, 0.5, 1.0, 0.5]))
    rows = Interactions(np.arange(4), np.arange(4))
    # 1, .25, 0, .25: their mean is 3 / 8.
    np.testing.assert_allclose(NoiseWeights(2).interaction_weights(rows), [8 / 3, 2 / 3, 0, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(NoiseWeights().interaction_weights(rows), [2, 1, 0, 1], rtol=1e-6)
    assert NoiseWeights(gamma=1).interaction_weights(rows).tolist() == [1, 1, 1, 1]
    monkeypatch.setattr(NoiseModel, "probabilities", lambda *_: np.ones(4))
    assert NoiseWeights().interaction_weights(rows).tolist() == [1, 1, 1, 1]  # and no division by zero


def test_clicks_weigh_what_they_weigh_and_negatives_one() -> None:
    policy = ByItem()
    policy.build(Interactions(np.arange(3), np.array([5, 7, 9])), 3, 10)
    labels, loss = tf.constant([1.0, 0.0, 1.0, 0.0]), tf.constant([0.5, 2.0, 3.0, 0.1])
    rows = Rows(IDS, IDS, labels, loss, loss, interactions=tf.constant([2, -1, 0, -1], tf.int64))
    weights, divisor = policy.weights(rows, STEP)
    assert weights.numpy().tolist() == [9.0, 1.0, 5.0, 1.0]
    assert float(divisor) == 4.0
    # Rows of validation are none of the training.
    assert policy.weights(rows._replace(interactions=None), STEP)[0].numpy().tolist() == [1.0] * 4
    assert policy.variables == []


def test_with_t_ce_the_weights_are_multiplied_and_its_divisor_counts() -> None:
    labels, loss = tf.constant([1.0, 0.0, 1.0, 0.0]), tf.constant([0.5, 2.0, 3.0, 0.1])
    rows = Rows(IDS, IDS, labels, loss, loss, interactions=tf.constant([0, -1, 1, -1], tf.int64))
    settings = {"max_drop_rate": 0.25, "num_gradual": 1}
    policy = NoiseWeights(1, with_policy="t_ce", with_settings=settings)
    policy.prepare(10, 0.5)
    policy.weight = tf.Variable([1.5, 0.5])
    weights, divisor = policy.weights(rows, tf.constant(5, tf.int64))
    # A quarter of the four rows goes: the positive of loss 3.
    assert weights.numpy().tolist() == [1.5, 1.0, 0.0, 1.0]
    assert float(divisor) == 3.0
    assert policy.dropped_share(0.5, 5) == 0.5
    assert not policy.knows_weights
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(policy))
    assert back.get_config() == {"power": 1.0, "gamma": 0.0, "with_policy": "t_ce", "with_settings": settings}


def test_a_policy_that_acts_beside_has_the_settings_of_its_own_section() -> None:
    config = load_config(overrides=["policy.noise_model.with_policy=t_ce", "policy.t_ce.max_drop_rate=0.3"])
    settings = make_policy("noise_model", config).get_config()["with_settings"]
    assert settings == {"scope": "positives", "max_drop_rate": 0.3}  # the scope is that of the preset


@pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("objective", ["binary_crossentropy", "bpr"])
def test_each_row_of_a_batch_weighs_what_its_own_click_does(cls: type, objective: str) -> None:
    data = checkerboard()
    model = make(cls, data)
    model.compile(policy=ByItem(), objective=objective)
    rows = model.training_rows(data)
    model.policy.build(rows, data.num_users, data.num_items)
    source = model.batch_source(rows, model.negative_sampler(data), 7, 2)
    batch = source.batch(source.draw(tf.constant([0], tf.int64)), tf.constant(0))
    _, _, weights = model.batch_loss(batch)
    np.testing.assert_array_equal(weights.numpy(), np.where(batch.labels.numpy() > 0.5, batch.items.numpy(), 1))


def test_weights_of_one_are_plain_training_to_the_bit() -> None:
    data = checkerboard()
    found = []
    for policy in (Popularity(0), Standard()):
        model = make(next(iter(SMALL)), data)
        model.compile(policy=policy)
        model.fit(data, epochs=1, batch_size=32)
        found.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_the_random_drop_of_a_closed_form_leaves_out_its_share_of_the_interactions() -> None:
    rows = Interactions(np.arange(50), np.arange(50))
    weights = RandomDrop(0.1).interaction_weights(rows)
    assert sorted(weights.tolist()) == [0.0] * 5 + [1.0] * 45
    np.testing.assert_array_equal(weights, RandomDrop(0.1).interaction_weights(rows))


def test_arrays_carry_no_weights() -> None:
    data = checkerboard()
    model = make(next(iter(SMALL)), data)
    model.compile(policy=Popularity())
    with pytest.raises(ConfigError, match=r"Popularity remembers each interaction\. .*Received: arrays"):
        model.fit((data.train.user, data.train.item), np.ones(len(data.train)))


def test_too_little_feedback_is_told_before_a_step_is_made() -> None:
    data = checkerboard()
    model = make(next(iter(SMALL)), data)
    model.compile(policy=NoiseWeights())
    with pytest.raises(DataError, match=r"it needs 5 of each\. Received: \d+ known to be liked and 0 known"):
        model.fit(data)
    assert int(model.iteration) == 0


@pytest.mark.parametrize(
    ("make_policy", "message"),
    [
        (lambda: Popularity(-1), "gamma must be at least 0. Received: -1"),
        (lambda: NoiseWeights(power=-0.5), "power must be at least 0. Received: -0.5"),
        (lambda: NoiseWeights(gamma=True), "gamma must be at least 0. Received: True"),
        (lambda: NoiseWeights(with_policy="popularity"), r"another one that acts on the loss alone. Received: 'popu"),
        (lambda: NoiseWeights(with_policy="tce"), "Unknown policy 'tce'"),
        (lambda: NoiseWeights(with_policy="r_ce", with_settings={"bta": 1}), r"Unknown setting policy\.r_ce\.bta"),
    ],
)
def test_what_cannot_be_a_setting_is_refused(make_policy: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_policy()
