"""Denoising policies on hand-computed batches, for every objective."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfadt.denoising.base import Rows
from tfadt.denoising.reweighted import RCE
from tfadt.denoising.standard import Standard
from tfadt.denoising.truncated import TCE
from tfadt.errors import ConfigError

#                 hard positive, easy positive, hard negative, easy negative, middling positive, middling negative
LOSS = tf.constant([2.0, 0.1, 3.0, 0.2, 1.0, 0.5])
LABELS = tf.constant([1.0, 1.0, 0.0, 0.0, 1.0, 0.0])
LOGITS = tf.constant([-2.0, 2.0, 3.0, -1.5, 0.0, 0.0])
IDS = tf.zeros([6], tf.int64)


def weigh(policy, step=0, loss=LOSS, labels=LABELS):
    weights, divisor = policy.weights(Rows(IDS, IDS, labels, loss, LOGITS[: len(loss)]), tf.constant(step, tf.int64))
    return weights.numpy().tolist(), float(divisor)


def test_standard_weighs_every_row_the_same():
    assert weigh(Standard()) == ([1.0] * 6, 6.0)


def test_truncation_drops_positives_only_hardest_first():
    # A third of six rows is two: the two hardest positives go, the harder negative stays.
    assert weigh(TCE(1 / 3, num_gradual=2), step=1) == ([0.0, 1.0, 1.0, 1.0, 0.0, 1.0], 4.0)


def test_truncation_follows_the_ramp():
    policy = TCE(1 / 3, num_gradual=3)
    assert weigh(policy, step=0) == ([1.0] * 6, 6.0)
    # Half of the maximum is a sixth: one row.
    assert weigh(policy, step=1) == ([0.0, 1.0, 1.0, 1.0, 1.0, 1.0], 5.0)


def test_truncation_of_positives_counts_the_positives_alone():
    # A third of three positives is one.
    assert weigh(TCE(1 / 3, num_gradual=1, scope="positives"), step=1) == ([0.0, 1.0, 1.0, 1.0, 1.0, 1.0], 5.0)


def test_truncation_can_average_over_all_rows():
    assert weigh(TCE(1 / 3, num_gradual=1, mean_over="all"), step=1)[1] == 6.0


def test_truncation_never_drops_more_than_the_positives():
    labels = tf.constant([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    assert weigh(TCE(0.4, num_gradual=1), step=1, labels=labels) == ([1.0, 0.0, 1.0, 1.0, 1.0, 1.0], 5.0)


def test_truncation_with_a_positive_of_zero_loss_still_drops_no_negative():
    loss, labels = tf.constant([0.0, 0.7, 0.7, 0.7]), tf.constant([1.0, 0.0, 0.0, 0.0])
    assert weigh(TCE(0.4, num_gradual=1), step=1, loss=loss, labels=labels)[0] == [0.0, 1.0, 1.0, 1.0]


def test_truncation_of_a_batch_without_positives_drops_nothing():
    assert weigh(TCE(0.4, num_gradual=1), step=1, labels=tf.zeros([6])) == ([1.0] * 6, 6.0)


@pytest.mark.parametrize(("rate", "share", "scope"), [(0.5, 0.5, "batch"), (0.4, 0.25, "batch")])
def test_truncation_that_would_drop_every_positive_is_refused(rate, share, scope):
    with pytest.raises(ConfigError, match=f"below the share of positives in a batch .{share:g}.*Received: {rate:g}"):
        TCE(rate, num_gradual=1, scope=scope).prepare(10, positive_share=share)


def test_truncation_of_pairs_may_drop_more_than_half():
    TCE(0.6, num_gradual=1).prepare(10, positive_share=1.0)


def test_the_dropped_share_of_the_positives_is_twice_the_rate_with_one_negative_each():
    policy = TCE(0.1, num_gradual=2)
    assert policy.dropped_share(0.5, step=1) == pytest.approx(0.2)
    assert TCE(0.1, num_gradual=2, scope="positives").dropped_share(0.5, step=1) == pytest.approx(0.1)
    assert Standard().dropped_share(0.5, step=1) == 0.0


def test_reweighting_is_a_power_of_the_predicted_probability():
    weights, divisor = weigh(RCE(0.5))
    p = 1 / (1 + np.exp(-LOGITS.numpy()))
    np.testing.assert_allclose(weights, np.where(LABELS.numpy() == 1, p, 1 - p) ** 0.5, rtol=1e-6)
    assert divisor == 6.0


def test_reweighting_by_zero_is_plain_training():
    assert weigh(RCE(0.0)) == ([1.0] * 6, 6.0)


def test_reweighting_positives_only_leaves_negatives_at_one():
    weights, _ = weigh(RCE(1.0, positives_only=True))
    assert [weights[i] for i in (2, 3, 5)] == [1.0, 1.0, 1.0]
    assert weights[4] == pytest.approx(0.5)


def test_reweighting_can_divide_by_the_sum_of_the_weights():
    weights, divisor = weigh(RCE(0.7, normalise=True))
    assert divisor == pytest.approx(sum(weights), rel=1e-6)


def test_reweighting_is_exact_where_the_probability_itself_underflows():
    weights, _ = RCE(0.25).weights(Rows(IDS, IDS, tf.ones([6]), LOSS, tf.fill([6], -200.0)), tf.constant(0, tf.int64))
    np.testing.assert_allclose(weights, np.exp(-0.25 * 200.0), rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RCE(-0.1), r"beta must be at least 0\. Received: -0\.1"),
        (lambda: TCE(scope="users"), "scope must be 'batch' or 'positives'. Received: 'users'"),
        (lambda: TCE(mean_over="some"), "mean_over must be 'kept' or 'all'. Received: 'some'"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    "policy",
    [Standard(), TCE(0.1, 50, 2.0, "positives", "all"), RCE(0.5, positives_only=True, normalise=True)],
    ids=lambda p: type(p).__name__,
)
def test_policies_serialise_and_come_back(policy):
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(policy))
    assert type(back) is type(policy)
    assert back.get_config() == policy.get_config()
