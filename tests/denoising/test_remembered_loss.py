"""Policies that go by the losses of the last epoch: UDT, PLD and EARD, by hand and in a training."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_cases import checkerboard, make

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import Rows
from tfadt.denoising.eard import EARD
from tfadt.denoising.pld import PLD
from tfadt.denoising.udt import UDT
from tfadt.errors import ConfigError, OutOfMemoryError
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF

# User 0 has the interactions 0 and 2, user 3 has 1 and 3; users 1 and 2 have none.
ROWS = Interactions(np.array([0, 3, 0, 3]), np.array([0, 1, 1, 0]))
LOSS = np.log([1.0, 2.0, 3.0, 8.0]).astype(np.float32)


def rows(interactions, loss, users=None):
    count = len(loss)
    ids = tf.zeros(count, tf.int64) if users is None else tf.constant(users, tf.int64)
    labels = tf.cast(tf.constant(interactions if interactions is not None else [0] * count) >= 0, tf.float32)
    numbers = None if interactions is None else tf.constant(interactions, tf.int64)
    return Rows(ids, ids, labels, tf.constant(loss, tf.float32), -tf.constant(loss, tf.float32), interactions=numbers)


def after_an_epoch(policy, epoch):
    """The policy after an epoch in which the four interactions had their losses, in two batches with a negative each."""
    policy.build(ROWS, 4, 2)
    step = tf.constant(0, tf.int64)
    policy.observe(rows([2, -1, 0], [LOSS[2], 9.0, LOSS[0]]), tf.ones(3), step)
    policy.observe(rows([3, 1, -1], [LOSS[3], LOSS[1], 9.0]), tf.ones(3), step)
    policy.on_epoch_end(epoch, None)
    return policy


def weigh(policy, interactions, users=None):
    weights, divisor = policy.weights(rows(interactions, [1.0] * 4, users), tf.constant(0, tf.int64))
    assert float(divisor) == 4
    return weights.numpy()


def test_pld_is_a_softmax_over_the_clicks_of_a_user():
    # exp(-loss / .5) is 1 / (loss as above) ** 2: of user 0 1 and 1/9, of user 3 1/4 and 1/64, twice each over their sum.
    policy = after_an_epoch(PLD(temperature=0.5, first_epoch=1), 0)
    np.testing.assert_allclose(weigh(policy, [0, 1, 2, 3]), [18 / 10, 32 / 17, 2 / 10, 2 / 17], rtol=1e-5)
    np.testing.assert_array_equal(weigh(policy, None), 1)  # validation: no interaction of the training
    assert weigh(policy, [-1, 0, -1, 0])[0] == 1


def test_udt_weighs_users_too():
    # User 0 has the smaller mean loss: temperature .5 and factor 1; user 3 temperature 1 and factor .25.
    policy = after_an_epoch(UDT(0.5, 1.0, 1.0, 0.25, first_epoch=1), 0)
    np.testing.assert_allclose(weigh(policy, [0, 2, 1, 3]), [1.8, 0.2, 0.25 * 2 * 0.8, 0.25 * 2 * 0.2], rtol=1e-5)
    np.testing.assert_array_equal(weigh(policy, [-1] * 4, users=[0, 1, 2, 3]), [1, 1, 1, 0.25])
    np.testing.assert_array_equal(weigh(policy, None, users=[0, 1, 2, 3]), [1, 1, 1, 0.25])


def test_eard_multiplies_a_rank_by_two_reputations():
    # F: 7/8, 5/8, 3/8, 1/8. User 0 is better than user 3. Item 0 has log 1 and log 8, item 1 log 2 and log 3: item 1 better.
    policy = after_an_epoch(EARD(0.5, 2.0, first_epoch=1), 0)
    expected = [7 / 8 * 2 * 0.5, 5 / 8 * 0.5 * 2, 3 / 8 * 2 * 2, 1 / 8 * 0.5 * 0.5]
    np.testing.assert_allclose(weigh(policy, [0, 1, 2, 3]), expected, rtol=1e-6)


@pytest.mark.parametrize("policy", [PLD(), UDT(), EARD()])
def test_the_first_epochs_are_plain_and_validation_is_not_observed(policy):
    after_an_epoch(policy, policy.first_epoch - 2)
    np.testing.assert_array_equal(weigh(policy, [0, 1, 2, -1]), 1)
    policy.on_epoch_end(policy.first_epoch - 1, None)
    first = weigh(policy, [0, 1, 2, 3])
    assert (first != 1).any()
    policy.on_epoch_end(policy.first_epoch - 1, None)  # as a run does that was cut there
    np.testing.assert_array_equal(weigh(policy, [0, 1, 2, 3]), first)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(policy))
    assert type(back) is type(policy)
    assert back.get_config() == policy.get_config()


def test_of_an_interaction_twice_in_a_batch_the_largest_loss_counts():
    policy = PLD()
    policy.build(ROWS, 4, 2)
    policy.observe(rows([1, 1, 1, 0], [2.0, 5.0, 3.0, 1.0]), tf.ones(4), tf.constant(0, tf.int64))
    np.testing.assert_array_equal(policy.loss, [1, 5, 0, 0])


@pytest.mark.parametrize("objective", ["binary_crossentropy", "bpr"])
@pytest.mark.parametrize("cls", [GMF, CDAE])
def test_a_training_notes_the_losses_of_its_own_interactions(cls, objective):
    data = checkerboard()
    model, policy = make(cls, data), PLD(first_epoch=1)
    model.compile(keras.optimizers.SGD(0.0), policy, objective)
    model.fit(data, epochs=1, batch_size=7, num_negatives=2)
    if objective == "binary_crossentropy" and cls is GMF:  # it stands still, so its losses are known
        expected = np.log1p(np.exp(-model.score_pairs(data.train.user, data.train.item).numpy()))
        np.testing.assert_allclose(policy.loss.numpy(), expected, rtol=1e-5)
    assert (policy.loss.numpy() > 0).all()
    assert policy.weight.numpy().mean() == pytest.approx(1, abs=1e-6)


def test_bad_arguments_and_arrays_and_too_little_memory_are_named(monkeypatch):
    for refused in (
        lambda: PLD(temperature=0),
        lambda: PLD(first_epoch=0),
        lambda: UDT(0.5, 0.2),
        lambda: UDT(highest_factor=0.1, lowest_factor=0.2),
        lambda: EARD(lower=3.0),
    ):
        with pytest.raises(ConfigError, match="Received"):
            refused()
    model = GMF(4, 3, embedding_dim=2)
    model.compile(policy="pld")
    with pytest.raises(ConfigError, match="PLD remembers each interaction"):
        model.fit((np.array([0]), np.array([1])), np.array([1.0]))
    monkeypatch.setattr("tfadt.memory.available_memory", lambda: 31)
    with pytest.raises(OutOfMemoryError, match="What PLD remembers of each of 4 interactions needs"):
        PLD().build(ROWS, 4, 2)
