"""Splits of one log, by hand and over random logs."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfadt.config.ingest import Split
from tfadt.data.splits import TEST, TRAIN, VALID, split_rows


def test_leave_last_out_by_hand() -> None:
    user = np.array([0, 0, 0, 0, 1, 1, 2])
    time = np.array([30, 10, 20, 40, 5, 4, 1])
    labels = split_rows(user, time, Split(method="leave_last_out"))
    assert labels.tolist() == [VALID, TRAIN, TRAIN, TEST, TEST, TRAIN, TRAIN]


def test_leave_last_out_takes_the_last_row_at_equal_times() -> None:
    labels = split_rows(np.zeros(4, np.int64), np.zeros(4), Split(method="leave_last_out"))
    assert labels.tolist() == [TRAIN, TRAIN, VALID, TEST]


def test_time_takes_the_latest_of_the_whole_log() -> None:
    time = np.array([9, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    labels = split_rows(np.zeros(10, np.int64), time, Split(method="time", valid=0.1, test=0.2))
    assert labels.tolist() == [TEST, *[TRAIN] * 7, VALID, TEST]


def test_random_takes_its_share_of_each_user() -> None:
    user = np.repeat([0, 1, 2], [10, 20, 1])
    labels = split_rows(user, None, Split(valid=0.1, test=0.2))
    assert np.bincount(user[labels == TEST], minlength=3).tolist() == [2, 4, 0]
    assert np.bincount(user[labels == VALID], minlength=3).tolist() == [1, 2, 0]


def test_random_shares_hold_on_average_for_users_with_few_rows() -> None:
    user = np.repeat(np.arange(20_000), 3)
    labels = split_rows(user, None, Split(valid=0.1, test=0.1))
    assert np.mean(labels == TEST) == pytest.approx(0.1, abs=0.005)
    assert np.mean(labels == VALID) == pytest.approx(0.1, abs=0.005)


def test_random_is_seeded() -> None:
    user = np.repeat(np.arange(50), 10)
    first, again, other = (split_rows(user, None, Split(seed=seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@given(
    user=st.lists(st.integers(0, 6), min_size=1, max_size=60),
    method=st.sampled_from(["random", "leave_last_out"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_every_user_keeps_a_training_row(user: list[int], method: Literal["random", "leave_last_out"], seed: int) -> None:
    users = np.array(user)
    config = Split(method=method, valid=0.3, test=0.6, seed=seed)
    labels = split_rows(users, np.arange(len(users)), config)
    assert set(labels.tolist()) <= {TRAIN, VALID, TEST}
    assert set(users[labels == TRAIN]) == set(user)
