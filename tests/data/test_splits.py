"""Splits of one log, by hand and over random logs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import EXAMPLES

from tfadt.config.ingest import IngestConfig, Split
from tfadt.data.ingest import from_frame
from tfadt.data.interactions import InteractionData
from tfadt.errors import DataError


def split(frame: pd.DataFrame, **settings: Any) -> InteractionData:
    """Splits a log beside eight users who click everything at first, so that training has every item."""
    items = [*frame["item_id"].unique(), *range(-3, 0)]
    others = pd.DataFrame({"user_id": np.repeat(range(-8, 0), len(items)), "item_id": items * 8, "timestamp": 0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return from_frame(pd.concat([others, frame]), IngestConfig(split=Split(**settings)))


def places(data: InteractionData, user: int) -> dict[str, list[int]]:
    """Returns the items of a user in each split."""
    found = {}
    for name in ("train", "valid", "test"):
        part = getattr(data, name)
        found[name] = data.items.decode(part.item[data.users.decode(part.user) == user]).tolist()
    return found


def test_leave_last_out_by_hand() -> None:
    log = pd.DataFrame(
        {"user_id": [0, 0, 0, 0, 1, 1, 2], "item_id": [1, 2, 3, 4, 1, 2, 1], "timestamp": [30, 10, 20, 40, 5, 4, 1]}
    )
    data = split(log, method="leave_last_out")
    assert places(data, 0) == {"train": [2, 3], "valid": [1], "test": [4]}
    assert places(data, 1) == {"train": [2], "valid": [], "test": [1]}
    assert places(data, 2) == {"train": [1], "valid": [], "test": []}


def test_time_takes_the_latest_of_the_whole_log() -> None:
    # User 0 has all items at the times 0 to 9, user 1 at the times 10 to 19.
    log = pd.DataFrame({"user_id": np.repeat([0, 1], 10), "item_id": np.tile(np.arange(10), 2), "timestamp": np.arange(20)})
    data = from_frame(log.sample(frac=1, random_state=0), IngestConfig(split=Split(method="time", valid=0.1, test=0.2)))
    assert places(data, 0)["train"] == [*range(10)]
    assert places(data, 1) == {"train": [0, 1, 2, 3], "valid": [4, 5], "test": [6, 7, 8, 9]}


@pytest.mark.parametrize(
    ("per_day", "expected"),
    [([10, 10, 10], [10, 10, 10]), ([80, 5, 5, 10], [80, 10, 10]), ([2, 2, 96], [2, 2, 96])],
    ids=["three days, one each", "nearest to the shares", "none is empty"],
)
def test_time_never_cuts_a_day(per_day: list[int], expected: list[int]) -> None:
    days = np.repeat(np.arange(len(per_day)), per_day)
    log = pd.DataFrame({"user_id": np.arange(len(days)) % 2, "item_id": np.arange(len(days)), "timestamp": days})
    # No test row has an item of training: the account is in the error.
    with pytest.raises(DataError) as caught:
        from_frame(log, IngestConfig(split=Split(method="time")))
    assert f"valid: item unseen in training: {expected[1]}" in str(caught.value)
    assert f"test: item unseen in training: {expected[2]}" in str(caught.value)


def test_a_log_of_one_day_cannot_be_split_by_time() -> None:
    log = pd.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [1, 2, 1, 2], "timestamp": 5})
    with pytest.raises(DataError, match=r"has 1 distinct times\. Expected at least 3"):
        from_frame(log, IngestConfig(split=Split(method="time")))


def test_random_takes_its_share_of_each_user() -> None:
    log = pd.DataFrame({"user_id": np.repeat([0, 1, 2], [10, 20, 1]), "item_id": [*range(10), *range(20), 0]})
    data = split(log, valid=0.1, test=0.2)
    sizes = {user: {name: len(items) for name, items in places(data, user).items()} for user in (0, 1, 2)}
    assert (sizes[0]["test"], sizes[1]["test"], sizes[2]["test"]) == (2, 4, 0)
    assert (sizes[0]["valid"], sizes[1]["valid"], sizes[2]["valid"]) == (1, 2, 0)


def test_random_shares_hold_for_users_with_few_rows_and_the_smallest_log_is_tested() -> None:
    log = pd.DataFrame({"user_id": np.repeat(np.arange(2000), 3), "item_id": np.tile(np.arange(3), 2000)})
    kept = from_frame(log).manifest["rows"]["kept"]
    assert kept == {"train": 4800, "valid": 600, "test": 600}
    small = from_frame(log[log["user_id"] < 3]).manifest["rows"]
    assert (small["kept"]["test"], small["kept"]["valid"]) == (1, 1)


@pytest.mark.parametrize("seed", range(8))
def test_the_smallest_log_tests_a_pair_that_counts_where_it_has_one(seed: int) -> None:
    # Users 1 and 2 share item 2, which user 2 likes: no other pair can be tested.
    log = pd.DataFrame({"user_id": [1, 2, 2], "item_id": [2, 1, 2], "rating": [2, 3, 5]})
    data = from_frame(log, IngestConfig(split=Split(seed=seed)))
    assert data.manifest["rows"]["kept"] == {"train": 2, "valid": 0, "test": 1, "test_disliked": 0}
    assert (data.users.decode(data.test.user), data.items.decode(data.test.item)) == ([2], [2])


def test_a_log_without_a_pair_that_counts_is_refused() -> None:
    log = pd.DataFrame({"user_id": [1, 1, 1, 2, 2, 2], "item_id": [1, 2, 3, 1, 2, 3], "rating": 1})
    with pytest.raises(DataError, match="No test row of"):
        from_frame(log)
    assert from_frame(log, IngestConfig(clean_test=False)).manifest["rows"]["kept"]["test"] == 1


def test_random_depends_on_the_ids_and_the_seed_alone() -> None:
    log = pd.DataFrame({"user_id": np.repeat(np.arange(50), 10), "item_id": np.tile(np.arange(10), 50)})
    first, shuffled, other = (
        from_frame(frame, IngestConfig(split=Split(seed=seed)))
        for frame, seed in ((log, 1), (log.sample(frac=1, random_state=3), 1), (log, 2))
    )
    assert first.manifest["fingerprint"] == shuffled.manifest["fingerprint"]
    assert first.manifest["fingerprint"] != other.manifest["fingerprint"]


def test_random_tests_each_item_equally_often() -> None:
    users, items = 3000, 10
    log = pd.DataFrame({"user_id": np.repeat(np.arange(users), items), "item_id": np.tile(np.arange(items), users)})
    test = from_frame(log, IngestConfig(split=Split(valid=0, test=0.2))).test
    counts = np.bincount(test.item, minlength=items)
    assert counts.sum() == 6000
    # Hypergeometric: each user tests two of ten; five standard deviations.
    assert np.abs(counts - 600).max() < 5 * np.sqrt(users * 0.2 * 0.8)


@given(
    user=st.lists(st.integers(0, 6), min_size=1, max_size=60),
    method=st.sampled_from(["random", "leave_last_out"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_every_user_keeps_a_training_row(user: list[int], method: str, seed: int) -> None:
    log = pd.DataFrame({"user_id": user, "item_id": np.arange(len(user)), "timestamp": np.arange(len(user))})
    data = split(log, method=method, valid=0.3, test=0.6, seed=seed)
    assert set(user) <= set(data.users.decode(data.train.user).tolist())
    assert sum(map(len, (data.train, data.valid, data.test))) <= data.manifest["rows"]["in"]
