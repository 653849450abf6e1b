"""Ingest: feedback rules, duplicates, given splits, unseen users and items, and the account of every row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfadt.config.ingest import Feedback, IngestConfig, Simulated, Split
from tfadt.data.ingest import from_frame, ingest
from tfadt.data.interactions import InteractionData, Interactions
from tfadt.errors import DataError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
NO_TEST_CLEANING = IngestConfig(split=Split(valid=0, test=0.2), clean_test=False)


def grid(users: int = 4, items: int = 5, **columns: object) -> pd.DataFrame:
    """Every user with every item."""
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(users), items), "item_id": np.tile(np.arange(items), users)})
    return frame.assign(**columns)


def write_splits(folder: Path, **splits: str) -> IngestConfig:
    """Writes the three files of a given split (`user,item,rating` separated by spaces)."""
    for name, rows in splits.items():
        (folder / f"{name}.csv").write_text("user_id,item_id,rating\n" + "\n".join(rows.split()) + "\n")
    return IngestConfig(**{name: folder / f"{name}.csv" for name in splits})


def triples(data: InteractionData, split: Interactions) -> list[tuple[object, object, bool]]:
    flags = split.false_positive if split.false_positive is not None else np.zeros(len(split), bool)
    users, items = data.users.decode(split.user), data.items.decode(split.item)
    return list(zip(users.tolist(), items.tolist(), flags.tolist(), strict=True))


def test_given_splits_by_hand(tmp_path: Path) -> None:
    config = write_splits(
        tmp_path,
        train="b,20,5 a,20,2 a,10,3 a,10,1 b,30,x",
        valid="b,10,1 z,10,4 a,30,4",
        test="z,30,5 a,40,4 c,10,1 b,20,nan",
    )
    with pytest.raises(DataError, match=r"No test row of train\.csv, valid\.csv, test\.csv is left"):
        ingest(config)
    (tmp_path / "train.csv").write_text("user_id,item_id,rating\nb,20,5\na,20,2\na,10,3\na,10,1\nb,30,x\nc,10,3\n")
    (tmp_path / "test.csv").write_text("user_id,item_id,rating\nz,30,5\na,40,4\nc,20,3\nc,30,1\n")
    data = ingest(config)
    assert data.users.ids.tolist() == ["a", "b", "c"]
    assert data.items.ids.tolist() == [10, 20]
    # Of the repeated pair (a, 10) the last row is kept, rating 1.
    assert triples(data, data.train) == [("a", 10, True), ("a", 20, True), ("b", 20, False), ("c", 10, False)]
    assert triples(data, data.valid) == [("b", 10, True)]
    assert triples(data, data.test) == [("c", 20, False)]
    assert data.manifest["rows"]["in"] == 6 + 3 + 4
    assert data.manifest["rows"]["kept"] == {"train": 4, "valid": 1, "test": 1, "test_disliked": 0}
    assert data.manifest["rows"]["rejected"] == {
        "duplicate pair": 1,
        "rating not a number": 1,
        "test: item unseen in training": 2,
        "test: user unseen in training": 1,
        "valid: item unseen in training": 1,
        "valid: user unseen in training": 1,
    }


def test_overlap_is_refused_with_counts_or_removed_from_the_later_split(tmp_path: Path) -> None:
    config = write_splits(
        tmp_path,
        train="a,1,5 a,2,5 b,1,5 b,2,5 b,3,5 c,4,5",
        valid="a,1,5 a,3,5 b,4,5",
        test="a,1,5 a,3,5 c,1,5 a,9,5 c,2,1 d,1,5",
    )
    with pytest.raises(DataError, match=r"\(train and valid: 1, train and test: 1, valid and test: 2\)"):
        ingest(config)
    data = ingest(config.model_copy(update={"on_overlap": "drop_from_test"}))
    rows = data.manifest["rows"]
    assert rows["in"] == 6 + 3 + 6
    assert rows["kept"] == {"train": 6, "valid": 2, "test": 1, "test_disliked": 1}
    assert rows["rejected"] == {
        "valid: pair also in train": 1,
        "test: pair also in train": 1,
        "test: pair also in valid": 1,
        "test: user unseen in training": 1,
        "test: item unseen in training": 1,
    }
    assert triples(data, data.test) == [("c", 1, False)]
    assert [source["in"] for source in rows["sources"]] == [6, 3, 6]
    assert rows["sources"][1] == {
        "name": "valid.csv",
        "split": "valid",
        "in": 3,
        "rejected": {"valid: pair also in train": 1},
        "ranges": {"rating": [5.0, 5.0]},
        "samples": {"valid: pair also in train": [{"line": 2, "text": "a,1,5"}]},
    }


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ("rating", [1, 2.9, 3, 5], [True, True, False, False]),
        ("dwell_time", [0, 9.99, 10, 300], [True, True, False, False]),
        ("false_positive", ["1", "true", "0", "False"], [True, True, False, False]),
    ],
)
def test_feedback_rules(rule: str, values: list[object], expected: list[bool]) -> None:
    frame = grid(4, 5)
    frame[rule] = frame["user_id"].map(dict(enumerate(values)))
    data = from_frame(frame, NO_TEST_CLEANING)
    for split in (data.train, data.test):
        assert split.false_positive is not None
        assert split.false_positive.tolist() == np.array(expected)[data.users.decode(split.user)].tolist()
    assert data.manifest["feedback"]["rule"] == rule


def test_thresholds_are_settings() -> None:
    config = NO_TEST_CLEANING.model_copy(update={"feedback": Feedback(rating_below=5)})
    data = from_frame(grid(rating=4), config)
    assert data.manifest["false_positive_share"]["train"] == 1.0
    assert data.manifest["feedback"] == {
        "rule": "rating",
        "threshold": 5.0,
        "clean_test_possible": True,
        "clean_test": False,
    }


def test_auto_prefers_the_flag_then_the_rating() -> None:
    frame = grid(dwell_time=1.0, rating=5)
    assert from_frame(frame).manifest["feedback"]["rule"] == "rating"
    assert from_frame(frame.assign(false_positive=0)).manifest["feedback"]["rule"] == "false_positive"


@pytest.mark.parametrize("frame", [grid(20), grid(20, rating=1, false_positive=1)], ids=["no column", "rule none"])
def test_without_feedback_everything_is_kept_and_said(frame: pd.DataFrame) -> None:
    data = from_frame(frame, IngestConfig(feedback=Feedback(rule="none"), split=Split(test=0.2)))
    assert data.train.false_positive is None
    assert data.manifest["feedback"] == {
        "rule": "none",
        "threshold": None,
        "clean_test_possible": False,
        "clean_test": False,
    }
    assert sum(data.manifest["rows"]["kept"].values()) == 100


def test_feedback_that_one_file_lacks_is_not_silently_dropped(tmp_path: Path) -> None:
    config = write_splits(tmp_path, train="a,1,5 b,1,5 a,2,1", valid="b,2,5", test="b,2,5")
    (tmp_path / "valid.csv").write_text("user_id,item_id\nb,3\n")
    with pytest.raises(DataError, match=r"valid\.csv has no column 'rating'"):
        ingest(config)
    data = ingest(config.model_copy(update={"feedback": Feedback(rule="none")}))
    assert data.train.false_positive is None


def test_clean_test_keeps_true_positives_only_and_can_be_switched_off() -> None:
    frame = grid(rating=np.tile([1, 2, 3, 4, 5], 4))
    config = IngestConfig(split=Split(valid=0, test=0.4))
    clean, raw = from_frame(frame, config), from_frame(frame, config.model_copy(update={"clean_test": False}))
    assert clean.test.false_positive is not None
    assert not clean.test.false_positive.any()
    assert clean.test_disliked is not None
    apart = len(clean.test_disliked)
    assert clean.manifest["rows"]["kept"]["test_disliked"] == apart
    assert raw.test.false_positive is not None
    assert apart == raw.test.false_positive.sum() > 0
    assert len(raw.test) == len(clean.test) + apart
    assert raw.test_disliked is None
    disliked = raw.test.take(raw.test.false_positive)
    assert (clean.test_disliked.user == disliked.user).all()
    assert (clean.test_disliked.item == disliked.item).all()


def test_the_latest_of_a_repeated_pair_is_kept() -> None:
    extra = pd.DataFrame({"user_id": [0, 0], "item_id": [0, 0], "rating": [1, 5], "timestamp": [9, 3]})
    frame = pd.concat([grid(rating=5, timestamp=5), extra], ignore_index=True)
    data = from_frame(frame, NO_TEST_CLEANING)
    flags = {pair[:2]: pair[2] for split in (data.train, data.test) for pair in triples(data, split)}
    assert flags[0, 0] is True
    assert data.manifest["rows"]["rejected"] == {"duplicate pair": 2}
    last_row = from_frame(frame.drop(columns="timestamp"), NO_TEST_CLEANING)
    flags = {pair[:2]: pair[2] for split in (last_row.train, last_row.test) for pair in triples(last_row, split)}
    assert flags[0, 0] is False


def test_dates_order_duplicates_and_unreadable_ones_are_rejected() -> None:
    extra = pd.DataFrame(
        {
            "user_id": [0, 0, 0],
            "item_id": [0, 0, 0],
            "rating": [1, 5, 5],
            "timestamp": ["2024-05-01", "2023-01-01", "?"],
        }
    )
    frame = pd.concat([grid(rating=5, timestamp="2022-01-01T10:00:00"), extra], ignore_index=True)
    data = from_frame(frame, NO_TEST_CLEANING)
    flags = {pair[:2]: pair[2] for split in (data.train, data.test) for pair in triples(data, split)}
    assert flags[0, 0] is True
    # Which of a pair's rows is the latest cannot be told of one whose time cannot be read.
    unreadable = "timestamp missing, or no number and no ISO 8601 date"
    assert data.manifest["rows"]["rejected"] == {"duplicate pair": 2, unreadable: 1}
    assert data.manifest["times"] == {"untimed": 1, "unreadable": 1}


def test_an_unreadable_time_that_decides_nothing_costs_no_row() -> None:
    frame = grid(rating=5, timestamp=["?", *["2022-01-01"] * 19])
    manifest = from_frame(frame, NO_TEST_CLEANING).manifest
    assert manifest["rows"]["rejected"] == {}
    assert manifest["times"] == {"untimed": 1, "unreadable": 1}


def test_rows_without_a_time_are_rejected_where_the_split_needs_one() -> None:
    frame = grid(4, 5, timestamp=[str(place) for place in np.random.default_rng(0).permutation(20)])
    frame.loc[[3, 7], "timestamp"] = ["", "soon"]
    config = IngestConfig(split=Split(method="leave_last_out"))
    rows = from_frame(frame, config).manifest["rows"]
    assert rows["rejected"]["timestamp missing, or no number and no ISO 8601 date"] == 2


def test_authors_prefix_is_read_as_three_splits(tmp_path: Path) -> None:
    (tmp_path / "adressa.train.rating").write_text("0\t0\t1\n0\t1\t0\n1\t0\t1\n1\t2\t1\n")
    (tmp_path / "adressa.valid.rating").write_text("0\t2\t0\n1\t7\t1\n")
    (tmp_path / "adressa.test.negative").write_text("(1, 1)\t0\n(5, 1)\t0\n")
    data = ingest(IngestConfig(data=tmp_path / "adressa"))
    assert triples(data, data.train) == [(0, 0, False), (0, 1, True), (1, 0, False), (1, 2, False)]
    assert triples(data, data.valid) == [(0, 2, True)]
    assert triples(data, data.test) == [(1, 1, False)]
    assert data.manifest["feedback"]["rule"] == "false_positive"
    assert data.manifest["rows"]["rejected"] == {
        "test: user unseen in training": 1,
        "valid: item unseen in training": 1,
    }
    (tmp_path / "adressa.valid.rating").unlink()
    with pytest.raises(DataError, match=r"adressa\.valid\.rating does not exist"):
        ingest(IngestConfig(data=tmp_path / "adressa"))


def test_progress_is_told_line_by_line() -> None:
    lines: list[str] = []
    data = ingest(IngestConfig(simulated=Simulated(users=50, items=30, interactions=500)), lines.append)
    assert lines == ["Simulating clicks", "Checking simulated", "Merging pairs", "Splitting", "Writing"]
    assert data.manifest["source"] == {"name": "simulated", "format": "simulated", "simulated": True}
    json.dumps(data.manifest, allow_nan=False)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real data sets beside the repository (../shared/data)")
@pytest.mark.parametrize(
    ("name", "users", "items", "sizes", "rejected"),
    [
        ("ml-100k", 943, 1611, (79_619, 9_901, 7_851), {}),
        (
            "modcloth",
            38_406,
            1_018,
            (79_914, 6_548, 5_997),
            {
                "test: item unseen in training": 1,
                "test: user unseen in training": 3_333,
                "valid: item unseen in training": 1,
                "valid: user unseen in training": 3_441,
            },
        ),
    ],
)
def test_real_data(name: str, users: int, items: int, sizes: tuple[int, ...], rejected: dict[str, int]) -> None:
    data = ingest(IngestConfig(**{split: SHARED / name / f"{split}.tsv" for split in ("train", "valid", "test")}))
    assert (data.num_users, data.num_items) == (users, items)
    assert (len(data.train), len(data.valid), len(data.test)) == sizes
    assert data.test_disliked is not None
    assert len(data.test_disliked) == {"ml-100k": 2_541, "modcloth": 658}[name]
    assert data.manifest["rows"]["rejected"] == rejected
    share = {"ml-100k": 0.159, "modcloth": 0.093}[name]
    assert data.manifest["false_positive_share"]["train"] == pytest.approx(share, abs=5e-4)
