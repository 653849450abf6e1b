"""Activity groups of equal interactions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfadt.evaluation.ranking import activity_groups


def test_groups_hold_equal_interactions_not_equal_users():
    # 24 interactions, 6 a group: 6 users of 1, 3 of 2, 2 of 3, 1 of 6.
    activity = np.array([6, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1])
    groups = activity_groups(activity)
    assert groups.tolist() == [3, 2, 2, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert np.bincount(groups, weights=activity).tolist() == [6, 6, 6, 6]


def test_equally_active_users_are_split_by_position():
    assert activity_groups(np.full(8, 5)).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("activity", "groups"),
    [
        ([], []),
        ([7], [2]),  # Its middle is the middle of all interactions.
        ([0], [0]),
        ([0, 0, 0], [0, 0, 0]),
        ([5, 5], [1, 3]),  # Middles at 2.5 and 7.5 of 10.
        ([1, 1, 98], [0, 0, 2]),
        ([0, 4, 4, 4, 4], [0, 0, 1, 2, 3]),
    ],
)
def test_few_or_idle_users(activity, groups):
    assert activity_groups(np.array(activity, np.int64)).tolist() == groups


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_more_active_users_are_never_in_a_lower_group(activity):
    counts = np.array(activity)
    groups = activity_groups(counts)
    order = np.argsort(counts, kind="stable")
    assert (np.diff(groups[order]) >= 0).all()
    # A group is off its quarter by no more than the two users at its ends.
    totals = np.bincount(groups, weights=counts, minlength=4)
    assert np.abs(totals - counts.sum() / 4).max() <= counts.max()
