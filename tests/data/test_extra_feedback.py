"""Extra feedback: a share, a column or a file of known positives; counted, and nothing of validation or test in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from soak import EXAMPLES

from tfadt.config.ingest import Columns, ExtraFeedback, IngestConfig, Simulated, Split
from tfadt.data.ingest import from_frame, ingest
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError

SIMULATED = Simulated(users=200, items=80, interactions=6000)


def pairs(data: InteractionData, name: str = "extra_feedback") -> set[tuple[Any, Any]]:
    part = getattr(data, name)
    return set(zip(data.users.decode(part.user).tolist(), data.items.decode(part.item).tolist(), strict=True))


def simulated(**settings: Any) -> InteractionData:
    return ingest(IngestConfig(simulated=SIMULATED, extra_feedback=ExtraFeedback(**settings)))


def test_a_share_of_the_training_true_positives_is_drawn_one_by_one() -> None:
    data = simulated(share=0.1)
    train, extra = data.train, data.extra_feedback
    assert extra is not None
    assert train.known_positive is not None
    assert train.false_positive is not None
    assert not (train.known_positive & train.false_positive).any()
    true_positives = np.count_nonzero(~train.false_positive)
    # A binomial: its standard deviation is sqrt(n * .1 * .9).
    assert abs(len(extra) - 0.1 * true_positives) < 4 * np.sqrt(true_positives * 0.09)
    assert pairs(data) == {
        (u, i)
        for u, i, known in zip(
            data.users.decode(train.user).tolist(), data.items.decode(train.item).tolist(), train.known_positive, strict=True
        )
        if known
    }
    account = data.manifest["extra_feedback"]
    assert train.known_negative is not None
    assert data.valid.known_positive is not None
    assert data.valid.known_negative is not None
    assert account == {
        "source": "sample",
        "share": 0.1,
        "validation_share": 0.1,
        "seed": 0,
        "pairs": len(extra),
        "users": len(set(extra.user)),
        "absent_from_clicks": 0,
        "share_of_training": pytest.approx(len(extra) / len(train)),
        "disliked": train.known_negative.sum(),
        "validation": {"liked": data.valid.known_positive.sum(), "disliked": data.valid.known_negative.sum()},
    }


@pytest.mark.parametrize(("validation_share", "expected"), [(None, 0.3), (0.8, 0.8), (0.0, 0.0)])
def test_the_draw_reveals_liked_and_disliked_clicks_of_training_and_validation_alike(
    validation_share: float | None, expected: float
) -> None:
    data = simulated(share=0.3, validation_share=validation_share)
    for part, share in ((data.train, 0.3), (data.valid, expected)):
        liked, disliked = part.known_positive, part.known_negative
        assert liked is not None
        assert disliked is not None
        assert part.false_positive is not None
        assert not liked[part.false_positive].any()
        assert not disliked[~part.false_positive].any()
        for flags, among in ((liked, ~part.false_positive), (disliked, part.false_positive)):
            n = np.count_nonzero(among)
            assert abs(np.count_nonzero(flags) - share * n) <= 4 * np.sqrt(n * share * (1 - share))
    # Which true positives are known does not hang on what else is revealed, and of the test nothing is.
    assert pairs(data) == pairs(simulated(share=0.3, validation_share=1))
    assert data.test.known_positive is None
    assert data.test.known_negative is None


def test_the_draw_goes_by_its_seed_and_share_alone() -> None:
    assert pairs(simulated()) == pairs(simulated(share=0.1, seed=0))
    assert pairs(simulated()) != pairs(simulated(seed=1))
    everything = simulated(share=1)
    assert everything.train.false_positive is not None
    np.testing.assert_array_equal(everything.train.known_positive, ~everything.train.false_positive)
    nothing = simulated(share=0)
    assert nothing.extra_feedback is None
    assert nothing.train.known_positive is None
    assert nothing.manifest["extra_feedback"] == {"source": "none"}


def test_the_ratio_is_extra_feedback_over_clicks_of_each_user() -> None:
    data = simulated(share=0.3)
    assert data.extra_feedback is not None
    for user in (0, 7, data.num_users - 1):
        clicks, extra = (np.count_nonzero(part.user == user) for part in (data.train, data.extra_feedback))
        assert data.extra_feedback_ratio[user] == pytest.approx(extra / clicks)
    assert not data.with_extra_feedback(None).extra_feedback_ratio.any()


def test_what_new_feedback_says_is_liked_is_no_longer_known_to_be_disliked() -> None:
    data = simulated(share=0.3)
    disliked = data.train.known_negative
    assert disliked is not None
    assert disliked.any()
    changed = data.with_extra_feedback(data.train.take(disliked)).train
    np.testing.assert_array_equal(changed.known_positive, disliked)
    assert changed.known_negative is not None
    assert not changed.known_negative.any()


def test_without_feedback_nothing_can_be_drawn() -> None:
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(9), 6), "item_id": np.tile(np.arange(6), 9)})
    assert from_frame(frame).extra_feedback is None


def log(**columns: Any) -> pd.DataFrame:
    """Eight users with the items 0 to 4, item 4 disliked."""
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(8), 5), "item_id": np.tile(np.arange(5), 8)})
    return frame.assign(rating=np.where(frame["item_id"] == 4, 1, 5), **columns)


def test_a_column_marks_what_is_known_in_training() -> None:
    flags = np.tile(np.array(["1", "", "0", "true", "1"], object), 8)
    flags[:2] = ["perhaps", None]
    data = from_frame(log(extra_feedback=flags), IngestConfig(split=Split(test=0.2, seed=3)))
    train = set(zip(data.users.decode(data.train.user).tolist(), data.items.decode(data.train.item).tolist(), strict=True))
    liked = {(u, i) for u in range(8) for i in (0, 3)} - {(0, 0)}
    assert pairs(data) == liked & train
    account = data.manifest["extra_feedback"]
    assert account["source"] == "column"
    # Item 4 is marked as known and disliked by its rating; 0 says nothing.
    clicks = train | pairs(data, "valid")
    disliked = sum((u, 4) in clicks for u in range(8))
    assert account["rejected"] == {"false positive": disliked} | ({"not 0 or 1": 1} if (0, 0) in clicks else {})
    assert account["disliked"] == 0
    assert data.manifest["rows"]["in"] == 40


def signs(data: InteractionData, name: str) -> dict[tuple[Any, Any], int]:
    """The pairs of a split whose feedback is known: 1 liked, -1 disliked."""
    part = getattr(data, name)
    sign = part.known_positive.astype(int) - part.known_negative
    ids = zip(data.users.decode(part.user).tolist(), data.items.decode(part.item).tolist(), sign.tolist(), strict=True)
    return {(user, item): sign for user, item, sign in ids if sign}


def test_a_column_tells_disliked_clicks_where_zero_means_that() -> None:
    # Item 2 is liked by its rating, so that a 0 contradicts it; item 4 is disliked by both.
    flags = np.tile(np.array(["1", "", "0", "", "0"], object), 8)
    settings = ExtraFeedback(zero_means="disliked")
    data = from_frame(
        log(extra_feedback=flags), IngestConfig(split=Split(valid=0.4, test=0.2, seed=3), extra_feedback=settings)
    )
    for name in ("train", "valid"):
        expected = {(u, i): 1 if i == 0 else -1 for u, i in pairs(data, name) if i in (0, 4)}
        assert expected
        assert signs(data, name) == expected
    clicks = pairs(data, "train") | pairs(data, "valid")
    assert data.manifest["extra_feedback"]["rejected"] == {"true positive": sum(item == 2 for _, item in clicks)}
    assert {item for _, item in pairs(data)} == {0}
    # Where the column is the only feedback there is nothing to contradict.
    alone = from_frame(
        log(extra_feedback=flags).drop(columns="rating"), IngestConfig(split=Split(seed=3), extra_feedback=settings)
    )
    assert alone.train.false_positive is None
    assert {(item, sign) for (_, item), sign in signs(alone, "train").items()} == {(0, 1), (2, -1), (4, -1)}


def test_a_column_of_another_name_is_needed_in_training_only(tmp_path: Path) -> None:
    frame = log(checked=np.tile([1, 0, 0, 0, 0], 8))
    frame.to_csv(tmp_path / "train.csv", index=False)
    for name, item in (("valid", 3), ("test", 2)):
        part = frame[frame["item_id"] == item].assign(user_id=lambda f: (f["user_id"] + 1) % 8, item_id=item)
        part.drop(columns="checked").to_csv(tmp_path / f"{name}.csv", index=False)
    train = frame[frame["item_id"].isin([0, 1, 4]) | (frame["user_id"] == 0)]
    train.to_csv(tmp_path / "train.csv", index=False)
    files = {name: tmp_path / f"{name}.csv" for name in ("train", "valid", "test")}
    config = IngestConfig(**files, columns=Columns(extra_feedback="checked"), on_overlap="drop_from_test")
    assert pairs(ingest(config)) == {(u, 0) for u in range(8)}
    with pytest.raises(DataError, match=r"train\.csv has no column 'chekced' \(set with ingest\.columns\.extra_feedback\)"):
        ingest(config.model_copy(update={"columns": Columns(extra_feedback="chekced")}))


# ---------------------------------------------------------------- a file of one's own


def given_splits(folder: Path, extra: str, train: str = "", **settings: Any) -> IngestConfig:
    """A given split of users a, b, c and items 1, 2, 3 in training, and the file `known.csv` of the pairs `extra`."""
    splits = {
        "train": f"a,1,5 a,2,5 a,3,1 b,1,5 b,2,4 c,2,5 c,3,5 {train}",
        "valid": "b,3,5 a,4,5",
        "test": "b,4,5 c,1,5 b,5,1",
    }
    for name, rows in splits.items():
        (folder / f"{name}.csv").write_text("user_id,item_id,rating\n" + "\n".join(rows.split()) + "\n")
    (folder / "known.csv").write_text("user_id,item_id\n" + "\n".join(extra.split()) + "\n")
    files = {name: folder / f"{name}.csv" for name in splits}
    return IngestConfig(**files, clean_test=False, extra_feedback=ExtraFeedback(file=folder / "known.csv", **settings))


def test_a_file_of_known_pairs_accounts_for_every_row(tmp_path: Path) -> None:
    data = ingest(given_splits(tmp_path, "a,1 b,2 a,1 a,3 b,3 c,1 c,2 ,2 b,nan"))
    assert pairs(data) == {("a", 1), ("b", 2), ("c", 2)}
    assert signs(data, "train") == dict.fromkeys(pairs(data), 1)
    assert signs(data, "valid") == {("b", 3): 1}
    assert data.manifest["extra_feedback"] == {
        "source": "file",
        "name": str(tmp_path / "known.csv"),
        "rows": {
            "in": 9,
            "kept": 4,
            "rejected": {
                "duplicate pair": 1,
                "false positive": 1,  # (a, 3)
                "in test, or validation without training's user or item": 1,  # (c, 1)
                "item_id missing": 1,
                "user_id missing": 1,
            },
        },
        "pairs": 3,
        "users": 3,
        "absent_from_clicks": 0,
        "share_of_training": pytest.approx(3 / 7),
        "disliked": 0,
        "validation": {"liked": 1, "disliked": 0},
    }


def test_a_file_tells_liked_and_disliked_pairs_apart(tmp_path: Path) -> None:
    config = given_splits(tmp_path, "", train="b,3,1", zero_means="disliked")
    (tmp_path / "valid.csv").write_text("user_id,item_id,rating\na,9,5\nc,1,2\n")
    (tmp_path / "test.csv").write_text("user_id,item_id,rating\nb,9,1\na,4,5\n")
    rows = "a,1,1 a,3,0 b,3,false a,2,0 b,2, b,1,maybe b,1,1 b,1,0 c,1,0 c,9,0 b,9,0"
    header = "user_id,item_id,extra_feedback\n"
    (tmp_path / "known.csv").write_text(header + "\n".join(rows.split()) + "\n")
    (tmp_path / "train.csv").open("a").write("c,9,5\n")
    data = ingest(config.model_copy(update={"on_overlap": "drop_from_test"}))
    assert signs(data, "train") == {("a", 1): 1, ("a", 3): -1, ("b", 3): -1}
    assert signs(data, "valid") == {("c", 1): -1}
    assert pairs(data) == {("a", 1)}
    account = data.manifest["extra_feedback"]
    assert account["disliked"] == 2
    assert account["validation"] == {"liked": 0, "disliked": 1}
    assert account["rows"]["rejected"] == {
        "both liked and disliked": 2,  # (b, 1)
        "in test, or validation without training's user or item": 1,  # (b, 9)
        "neither liked nor disliked": 1,  # (b, 2)
        "not 0 or 1": 1,
        "true positive": 2,  # (a, 2) and (c, 9)
    }


def test_pairs_that_were_split_off_do_not_leak_even_where_ingest_dropped_them(tmp_path: Path) -> None:
    # (a, 4) left validation, since training has no item 4; (b, 5) is disliked.
    data = ingest(given_splits(tmp_path, "a,4 b,5 b,4 b,1", on_unknown="refuse"))
    assert pairs(data) == {("b", 1)}
    rejected = data.manifest["extra_feedback"]["rows"]["rejected"]
    assert rejected == {"in test, or validation without training's user or item": 3}


def test_pairs_that_are_no_clicks_are_counted_and_kept_or_refused(tmp_path: Path) -> None:
    data = ingest(given_splits(tmp_path, "b,1 c,9", train="b,9,5"))
    assert pairs(data) == {("b", 1), ("c", 9)}
    assert data.manifest["extra_feedback"]["absent_from_clicks"] == 1
    assert data.train.known_positive is not None
    assert data.train.known_positive.sum() == 1
    # Negatives are drawn outside both.
    assert data.history("train", "extra_feedback").counts.tolist() == [3, 3, 3]
    with pytest.raises(DataError, match=r"known\.csv holds 1 pairs that are not among the training clicks"):
        ingest(given_splits(tmp_path, "b,1 c,9", train="b,9,5", on_absent="refuse"))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("a,1 z,1 z,2 y,1", r"names 2 users that training does not have\. .* Received, for example: 'z'"),
        ("a,1 b,77", r"names 1 items that training does not have\. .* Received, for example: '77'"),
    ],
)
def test_users_and_items_that_training_has_not_are_refused_or_dropped_and_counted(
    extra: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        ingest(given_splits(tmp_path, extra))
    data = ingest(given_splits(tmp_path, extra, on_unknown="drop"))
    assert pairs(data) == {("a", 1)}
    rows = data.manifest["extra_feedback"]["rows"]
    assert rows["in"] == rows["kept"] + sum(rows["rejected"].values())
    assert set(rows["rejected"]) <= {"user unseen in training", "item unseen in training"}


def test_ids_of_the_file_match_whether_written_as_text_or_number(tmp_path: Path) -> None:
    frame = log().assign(user_id=lambda f: f["user_id"].astype(str))
    for kind, users in (("int", [0, 1]), ("float", [0.0, 1.0]), ("text", ["0", "1"])):
        pd.DataFrame({"user_id": users, "item_id": ["0", "1"]}).to_parquet(tmp_path / f"{kind}.parquet")
        settings = ExtraFeedback(file=tmp_path / f"{kind}.parquet")
        data = from_frame(frame, IngestConfig(extra_feedback=settings, split=Split(test=0.2, seed=1)))
        rows = data.manifest["extra_feedback"]["rows"]
        assert rows["kept"] + sum(rows["rejected"].values()) == 2
    # An id among the training's that is no number makes all of them text.
    frame.loc[0, "user_id"] = "x"
    data = from_frame(frame, IngestConfig(extra_feedback=ExtraFeedback(file=tmp_path / "int.parquet", on_unknown="drop")))
    assert data.users.ids.dtype == object
    rows = data.manifest["extra_feedback"]["rows"]
    assert rows["kept"] + sum(rows["rejected"].values()) == 2


def test_a_file_beside_a_column_and_a_file_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("user_id,item_id\n0,0\n")
    settings = ExtraFeedback(file=tmp_path / "known.csv")
    with pytest.raises(ConfigError, match=r"Expected one source of extra feedback\. .*known\.csv.* 'extra_feedback'"):
        from_frame(log(extra_feedback=1), IngestConfig(extra_feedback=settings))
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist"):
        from_frame(log(), IngestConfig(extra_feedback=ExtraFeedback(file=tmp_path / "nowhere.csv")))
    (tmp_path / "known.csv").write_text("user,item\n0,0\n")
    with pytest.raises(DataError, match=r"known\.csv has no column 'user_id'"):
        from_frame(log(), IngestConfig(extra_feedback=settings))


# ---------------------------------------------------------------- nothing leaks


@st.composite
def logs(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, IngestConfig]:
    users, items = draw(st.integers(3, 8)), draw(st.integers(3, 8))
    every = [(u, i) for u in range(users) for i in range(items)]
    chosen = draw(
        st.lists(st.sampled_from(every), min_size=12, unique=True, max_size=len(every))
        if len(every) > 12
        else st.just(every)
    )
    ratings = draw(st.lists(st.integers(1, 5), min_size=len(chosen), max_size=len(chosen)))
    frame = pd.DataFrame(chosen, columns=["user_id", "item_id"]).assign(rating=ratings)
    known = pd.DataFrame(draw(st.lists(st.sampled_from(every), min_size=1)), columns=["user_id", "item_id"])
    split = Split(valid=0.2, test=0.3, seed=draw(st.integers(0, 99)))
    return frame, known, IngestConfig(split=split, clean_test=draw(st.booleans()))


@hypothesis_settings(max_examples=EXAMPLES)
@given(logs(), st.sampled_from(["share", "column", "file"]))
def test_nothing_of_validation_or_test_is_in_the_extra_feedback(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[pd.DataFrame, pd.DataFrame, IngestConfig], source: str
) -> None:
    frame, known, config = case
    if source == "column":
        frame = frame.assign(extra_feedback=1)
        settings = ExtraFeedback()
    elif source == "file":
        path = tmp_path_factory.mktemp("known") / "known.parquet"
        known.to_parquet(path)
        settings = ExtraFeedback(file=path, on_unknown="drop")
    else:
        settings = ExtraFeedback(share=1)
    try:
        data = from_frame(frame, config.model_copy(update={"extra_feedback": settings}))
    except DataError as error:
        assert "test row" in str(error) or "users and" in str(error)  # noqa: PT017 - too small a log is another test's
        return
    clicks, held_out = pairs(data, "train"), pairs(data, "valid") | pairs(data, "test")
    raw = set(zip(frame["user_id"], frame["item_id"], strict=True))
    assert not pairs(data) & held_out
    # What the log holds and training does not was split off, whatever became of it.
    assert not pairs(data) & (raw - clicks)
    disliked = {(u, i) for u, i, r in zip(frame["user_id"], frame["item_id"], frame["rating"], strict=True) if r < 3}
    assert not pairs(data) & disliked
    assert data.test.known_positive is None
    if source == "file":
        rows = data.manifest["extra_feedback"]["rows"]
        assert rows["in"] == len(known) == rows["kept"] + sum(rows["rejected"].values())
    else:
        assert pairs(data) == clicks - disliked
