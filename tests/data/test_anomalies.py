"""Statistics of a data set, and what is odd about it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfadt.config.ingest import IngestConfig, Simulated
from tfadt.config.pipeline import ValidateDataConfig
from tfadt.data.anomalies import check_anomalies, find_anomalies
from tfadt.data.ingest import ingest
from tfadt.data.statistics import Statistics, divergence, statistics
from tfadt.errors import DataError


@pytest.fixture
def measured(tmp_path: Path) -> Statistics:
    """Eight rows: a repeated pair, one without a user, one whose rating is no number."""
    files = {
        "train": "a,1,5 a,2,1 a,2,4 b,1,4 b,2,x",
        "valid": ",1,3",
        "test": "b,2,5 a,9,5",
    }
    for name, rows in files.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(["user_id,item_id,rating", *rows.split()]) + "\n")
    return statistics(ingest(IngestConfig(**{name: tmp_path / f"{name}.csv" for name in files})))


def test_statistics_of_a_small_log(measured: Statistics) -> None:
    assert measured.as_dict() == {
        "user_ids": "text",
        "item_ids": "integer",
        "id_ranges": {"users": [1, 1], "items": [1, 2]},
        "feedback": "rating",
        "feedback_range": [1.0, 5.0],
        "users": 2,
        "items": 2,
        "train": 3,
        "valid": 0,
        "test": 1,
        "duplicate_share": 1 / 8,
        "unreadable_share": 2 / 8,  # what the split rules leave out is not unreadable
        "false_positive_share": 0.0,
        "largest_user_share": 2 / 3,
        "largest_item_share": 2 / 3,
        "activity": [0.5, 0.5],
        "simulated": False,
    }
    assert measured.item_counts.to_dict() == {1: 2, 2: 1}


def test_activity_is_counted_in_powers_of_two() -> None:
    from tfadt.data.interactions import InteractionData, Interactions, Vocabulary

    user = np.repeat(np.arange(5), [1, 1, 2, 3, 4])
    item = np.concatenate([np.arange(n) for n in (1, 1, 2, 3, 4)])
    split = Interactions(user, item)
    rows: dict[str, Any] = {"in": 11, "rejected": {}, "sources": []}
    manifest = {"rows": rows, "feedback": {"rule": "none"}}
    data = InteractionData(split, split, split, Vocabulary(np.arange(5)), Vocabulary(np.arange(4)), manifest)
    found = statistics(data)
    assert found.activity == [0.4, 0.4, 0.2]
    assert found.largest_user_share == pytest.approx(4 / 11)
    assert (found.false_positive_share, found.feedback_range) == (None, None)


def test_divergence_by_hand() -> None:
    half = np.array([0.5, 0.5])
    assert divergence(half, half * 7) == 0.0
    assert divergence(np.array([1.0, 0.0]), np.array([0.0, 3.0])) == pytest.approx(1.0)
    # p = (1, 0), q = (1/2, 1/2), middle = (3/4, 1/4)
    expected = (math.log2(4 / 3) + 0.5 * math.log2(2 / 3) + 0.5 * math.log2(2)) / 2
    assert divergence(np.array([1.0, 0.0]), half) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_divergence_is_symmetric_and_between_0_and_1(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(column, float) + (np.arange(len(pairs)) == 0) for column in zip(*pairs, strict=True))
    value = divergence(first, second)
    assert 0.0 <= value <= 1.0 + 1e-12
    assert value == pytest.approx(divergence(second, first))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"user_ids": "integer"}, "The user ids are of another type: expected integer, received text."),
        ({"item_ids": "text"}, "The item ids are of another type: expected text, received integer."),
        ({"feedback": "dwell_time"}, "The feedback is another: expected dwell_time, received rating."),
        ({"feedback_range": [2, 5]}, "Values of rating lie outside 2 .. 5: received 1 .. 5."),
        ({"min_users": 10}, "There are few users: expected at least 10, received "),
        ({"min_train": 1000}, "There are few training interactions: expected at least 1,000, received "),
        (
            {"max_duplicate_share": 0.1},
            "The share of rows that repeat a (user, item) pair is large: expected at most 0.1, received 0.125.",
        ),
        (
            {"max_unreadable_share": 0.2},
            "The share of rows rejected for what stands in them is large: expected at most 0.2, received 0.25.",
        ),
        ({"max_largest_item_share": 0.01}, "The share of training interactions of one item is large"),
        ({"max_largest_user_share": 0.01}, "The share of training interactions of one user is large"),
    ],
)
def test_each_expectation_has_its_sentence(settings: dict[str, Any], sentence: str, measured: Statistics) -> None:
    lenient = {f"max_{name}_share": 1.0 for name in ("unreadable", "duplicate", "largest_user", "largest_item")}
    assert find_anomalies(measured, ValidateDataConfig.model_validate(lenient)) == []
    (found,) = find_anomalies(measured, ValidateDataConfig.model_validate({**lenient, **settings}))
    assert found.startswith(sentence)


def simulated(**settings: Any) -> Statistics:
    sizes = {"users": 200, "items": 80, "interactions": 4000, **settings}
    return statistics(ingest(IngestConfig(simulated=Simulated(**sizes))))


def test_the_default_data_have_no_anomaly() -> None:
    assert find_anomalies(simulated(), ValidateDataConfig(), simulated()) == []


def test_drift_against_an_earlier_run() -> None:
    before = simulated()
    settings = ValidateDataConfig(max_drift=0.05)
    # Other items have become popular.
    (items,) = find_anomalies(simulated(seed=1), settings, before)
    assert items.startswith("The popularity of items has drifted since the earlier run")
    # Half the interactions of the same users.
    found = find_anomalies(simulated(interactions=1500), settings, before)
    assert any(s.startswith("There are far fewer training interactions than in the earlier run") for s in found)
    assert any(s.startswith("The activity of users has drifted") for s in found)
    changed = replace(before, user_ids="text", feedback="dwell_time")
    assert find_anomalies(changed, settings, before) == [
        "The type of the user ids has changed since the earlier run: expected integer, received text.",
        "The feedback has changed since the earlier run: expected rating, received dwell_time.",
    ]


def test_ids_that_became_text_are_no_drift_of_popularity() -> None:
    before = simulated()
    now = replace(before, item_ids="text", item_counts=before.item_counts.rename(index=str))
    assert find_anomalies(now, ValidateDataConfig(), before) == [
        "The type of the item ids has changed since the earlier run: expected integer, received text."
    ]


def test_anomalies_stop_or_only_warn() -> None:
    with pytest.raises(DataError, match=r"The data have an anomaly \(validate_data.on_anomaly = 'warn' goes on\): Odd\."):
        check_anomalies(["Odd."], ValidateDataConfig())
    with pytest.raises(DataError, match="The data have 2 anomalies"):
        check_anomalies(["Odd.", "Odder."], ValidateDataConfig())
    check_anomalies(["Odd."], ValidateDataConfig(on_anomaly="warn"))
    check_anomalies([], ValidateDataConfig())
