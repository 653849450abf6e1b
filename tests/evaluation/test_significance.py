"""Paired tests over users, and spread over seeds."""

import numpy as np
import pandas as pd
import pytest

from tfadt.evaluation.significance import mean_and_std, mean_over_seeds, paired_test


def test_values_by_hand():
    # Differences 1, 2, 3, 4, 5: mean 3, sd sqrt(2.5), standard error sqrt(.5), t = 4.242641 with 4 degrees of freedom
    # (97.5 % quantile 2.776445; the two-sided p of t with 4 degrees is 1 - t (t^2 + 6) / (t^2 + 4)^1.5).
    baseline = np.array([0.5, 0.1, 0.2, 0.9, 0.4])
    result = paired_test(baseline + np.array([3, 1, 5, 2, 4]), baseline)
    t = 3 / np.sqrt(0.5)
    assert result.difference == pytest.approx(3)
    assert result.ci_low == pytest.approx(3 - 2.776445 * np.sqrt(0.5), abs=1e-5)
    assert result.ci_high == pytest.approx(3 + 2.776445 * np.sqrt(0.5), abs=1e-5)
    assert result.p_value == pytest.approx(1 - t * (t**2 + 6) / (t**2 + 4) ** 1.5, abs=1e-9)
    assert result.users == 5


def test_swapping_the_methods_flips_the_sign():
    a, b = np.random.default_rng(0).random((2, 30))
    one, other = paired_test(a, b), paired_test(b, a)
    assert (one.difference, one.ci_low, one.p_value) == pytest.approx((-other.difference, -other.ci_high, other.p_value))


def test_pairing_sees_what_the_means_hide():
    users = np.random.default_rng(0).random(200)
    gain = np.random.default_rng(1).normal(0.01, 0.01, 200)
    assert paired_test(users + gain, users).p_value < 1e-6


def test_identical_methods_differ_by_nothing():
    values = np.array([0.1, 0.5, 0.0])
    result = paired_test(values, values)
    assert (result.difference, result.ci_low, result.ci_high, result.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_the_same_gain_for_everybody_is_certain():
    result = paired_test(np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.5, 2.5]))
    assert (result.difference, result.ci_low, result.ci_high, result.p_value) == (0.5, 0.5, 0.5, 0.0)


@pytest.mark.parametrize("users", [0, 1])
def test_fewer_than_two_users_prove_nothing(users):
    result = paired_test(np.ones(users), np.zeros(users))
    assert (result.difference, result.p_value, result.users) == (float(users), 1.0, users)


def test_methods_need_the_same_users():
    with pytest.raises(ValueError, match="Received: 3 and 2"):
        paired_test(np.zeros(3), np.zeros(2))


def test_seeds_are_averaged_user_by_user():
    one = pd.DataFrame({"user": [3, 7], "recall@20": [0.2, 0.4]})
    two = pd.DataFrame({"user": [7, 3], "recall@20": [0.8, 0.0]})
    assert mean_over_seeds([one, two], "recall@20") == pytest.approx([0.1, 0.6])


def test_seeds_need_the_same_users():
    one, two = pd.DataFrame({"user": [3, 7], "x": [0.2, 0.4]}), pd.DataFrame({"user": [3], "x": [0.8]})
    with pytest.raises(ValueError, match="same users"):
        mean_over_seeds([one, two], "x")


def test_mean_and_sample_deviation():
    assert mean_and_std([1.0, 2.0, 3.0]) == (2.0, 1.0)
    assert mean_and_std([0.5]) == (0.5, 0.0)


def test_differences_that_are_rounding_errors_are_no_differences() -> None:
    values = np.array([0.1, 0.2, 0.3])
    assert paired_test(values + np.array([0.0, 3e-17, -3e-17]), values).p_value == 1.0
    assert paired_test(values + 0.01, values).p_value == 0.0
