"""Bad input ends in one clear sentence or in a counted rejection."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tfadt.config.ingest import Columns, Feedback, IngestConfig, Split
from tfadt.data.account import summary
from tfadt.data.ingest import from_frame, ingest
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError

HEADER = "user_id,item_id,rating\n"
# Five users with every one of five items: whatever is split off, training knows them all.
ROWS = "".join(f"{user},{item},{(user * item) % 5 + 1}\n" for user in range(5) for item in range(5))


def ingest_text(folder: Path, text: str | bytes, name: str = "log.csv", **settings: Any) -> InteractionData:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    settings = {"split": Split(valid=0, test=0.2), "clean_test": False} | settings
    return ingest(IngestConfig(data=path, **settings))


GZIPPED = gzip.compress((HEADER + ROWS).encode())
REFUSED: dict[str, tuple[str, str | bytes, str]] = {
    "empty": ("log.csv", "", "log.csv is empty"),
    "blank": ("log.csv", " \n\n", "log.csv is empty"),
    "only a mark": ("log.csv", b"\xef\xbb\xbf", "log.csv is empty"),
    "header only": ("log.csv", HEADER, "a header and no rows"),
    "header without line end": ("log.csv", HEADER.strip(), "a header and no rows"),
    "spaces in csv": ("log.csv", (HEADER + ROWS).replace(",", " "), "separator a space? ingest.separator sets it"),
    "commas in tsv": ("log.tsv", HEADER + ROWS, "separator a comma?"),
    "wrong column": ("log.csv", HEADER.replace("item", "itm") + ROWS, "Did you mean 'itm_id'?"),
    "column twice": ("log.csv", HEADER.replace("rating", "item_id") + ROWS, "'item_id' 2 times"),
    "latin-1": (
        "log.csv",
        (HEADER + "é,1,2\n").encode("latin-1"),
        "Rejected: not utf-8 text: 1. For example line 2, not utf-8 text: '??1,2'. Is the text of another encoding?",
    ),
    "utf-16 without a mark": ("log.csv", (HEADER + ROWS).encode("utf-16-le"), "line 1: NUL characters. Expected utf-8"),
    "nul byte": ("log.csv", HEADER + "1,\0,2\n", r"For example line 2, control character: '1,\x00,2'."),
    "excel": ("log.xlsx", b"PK", "read_excel("),
    "pickle": ("log.pkl", b"x", "read_pickle("),
    "zip": ("log.zip", b"PK", "unzip "),
    "gzipped parquet": ("log.parquet.gz", GZIPPED, "Expected no .gz"),
    "broken array": ("log.json", "[" + HEADER, "cannot be read"),
    "truncated gzip": ("log.csv.gz", GZIPPED[:-20], "not a complete gzip file"),
    "no gzip": ("log.csv.gz", HEADER + ROWS, "not a complete gzip file"),
    "damaged gzip": ("log.csv.gz", GZIPPED[:20] + b"\xff\xff\xff" + GZIPPED[23:], "not a complete gzip file"),
    "no parquet": ("log.parquet", HEADER + ROWS, "cannot be read as parquet"),
    "no json": ("log.jsonl", HEADER + ROWS, "none of its 26 lines is a JSON object"),
    "one user": ("log.csv", HEADER + "1,1,4\n1,2,4\n1,3,4\n1,4,4\n1,5,4\n", "Expected at least 2 users and 2 items"),
    "all rejected": ("log.csv", HEADER + "1,2,x\n2,3,\n", "Rejected: rating missing: 1, rating not a number: 1."),
}


@pytest.mark.parametrize(("name", "text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_with_a_clear_sentence(name: str, text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        ingest_text(tmp_path, text, name)
    assert name in str(caught.value)


def test_missing_file_and_folder_without_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist"):
        ingest(IngestConfig(data=tmp_path / "nowhere.csv"))
    with pytest.raises(DataError, match=r"x\.csv does not exist"):
        ingest(IngestConfig(data="x" * 5000 + ".csv"))
    with pytest.raises(DataError, match=r"nowhere does not exist"):
        ingest(IngestConfig(data=tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"is a folder without manifest\.json.*\(of a run: its folder data\)"):
        ingest(IngestConfig(data=tmp_path))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder\.csv is a folder without manifest\.json"):
        ingest(IngestConfig(data=tmp_path / "folder.csv"))


COUNTED: dict[str, tuple[str, dict[str, int]]] = {
    "no number": ("9,1,abc\n9,2,0x10\n9,3,1_0\n", {"rating not a number": 3}),
    "no value": ("9,1,\n9,2,NaN\n9,3,null\n", {"rating missing": 3}),
    "infinite": ("9,1,inf\n9,2,-inf\n9,3,1e999\n", {"rating not finite": 3}),
    "no ids": (",1,3\n 1,,3\n,,3\nnan,1,3\n", {"user_id missing": 3, "item_id missing": 1}),
    "ragged": ("9,1\n9,1,2,3\n", {"wrong number of fields": 2}),
    "repeated": ("0,0,3\n0,0,4\n", {"duplicate pair": 2}),
}


@pytest.mark.parametrize(("rows", "rejected"), COUNTED.values(), ids=COUNTED)
def test_counted_rejections(rows: str, rejected: dict[str, int], tmp_path: Path) -> None:
    account = ingest_text(tmp_path, HEADER + ROWS + rows).manifest["rows"]
    assert account["rejected"] == rejected
    assert account["in"] == 25 + rows.count("\n")
    assert sum(account["kept"].values()) == 25


def test_a_log_that_is_mostly_without_ratings_is_warned_of(tmp_path: Path) -> None:
    rows = "".join(f"{user},{100 + user},\n" for user in range(10))
    with pytest.warns(UserWarning, match=r"10 of 35 rows have no rating and .* ingest\.feedback\.rule = 'none'"):
        ingest_text(tmp_path, HEADER + ROWS + rows)


def test_negative_dwell_time_is_counted_and_minus_zero_is_not(tmp_path: Path) -> None:
    text = HEADER.replace("rating", "dwell_time") + ROWS + "0,9,-5\n1,9,-0.0\n"
    rows = ingest_text(tmp_path, text).manifest["rows"]
    assert rows["rejected"].pop("dwell_time negative") == 1
    assert rows["in"] == 27


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
def test_line_ends_and_byte_order_mark(ending: str, tmp_path: Path) -> None:
    text = "\ufeff" + (HEADER + ROWS).replace("\n", ending)
    assert ingest_text(tmp_path, text).manifest["rows"]["in"] == 25


def test_a_user_who_has_every_item_is_fine(tmp_path: Path) -> None:
    data = ingest_text(tmp_path, HEADER + ROWS)
    assert (data.num_users, data.num_items) == (5, 5)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["7", "8", "10"], [7, 8, 10]),
        (["007", "8", "10"], ["007", "10", "8"]),
        (["1", "a", "2"], ["1", "2", "a"]),
        (["7.0", "8.0", "10.0"], [7, 8, 10]),
        (["1.5", "1", "2"], ["1", "1.5", "2"]),
        (["99999999999999999999", "1", "2"], ["1", "2", "99999999999999999999"]),
        (["-9223372036854775808", "-1", "0"], [-9223372036854775808, -1, 0]),
        ([1.0, 2.0, 3.0], [1, 2, 3]),
        ([1, "1x", 2], ["1", "1x", "2"]),
        ([2**63, 1, 2], ["1", "2", str(2**63)]),
    ],
    ids=str,
)
def test_ids_are_integers_only_if_all_are(ids: list[Any], expected: list[Any]) -> None:
    rows = [(user, item, 5) for user in ids for item in range(5)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating"])
    assert from_frame(frame, IngestConfig(split=Split(test=0.2, seed=1))).users.ids.tolist() == expected


def test_numbers_and_text_that_mean_the_same_id_are_one_id() -> None:
    rows = [(user, item, 5) for user in [1, "1", 2, "x"] for item in range(5)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating"])
    data = from_frame(frame, IngestConfig(split=Split(test=0.2)))
    assert data.users.ids.tolist() == ["1", "2", "x"]
    assert data.manifest["rows"]["rejected"]["duplicate pair"] == 5
    assert data.manifest["notes"] == ["user_id holds both numbers and text: all are read as text"]


def test_an_explicit_rule_or_column_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'dwell_time'.*'user_id', 'item_id', 'rating'"):
        ingest_text(tmp_path, HEADER + ROWS, feedback=Feedback(rule="dwell_time"))
    with pytest.raises(DataError, match=r"no column 'stars'.*ingest\.columns\.rating"):
        ingest_text(tmp_path, HEADER + ROWS, columns=Columns(rating="stars"))
    with pytest.raises(DataError, match="no column 'timestamp'"):
        ingest_text(tmp_path, HEADER + ROWS, split=Split(method="time"))


def test_nothing_left_to_test_says_why(tmp_path: Path) -> None:
    rows = "".join(f"{user},{item},1\n" for user in range(5) for item in range(5))
    with pytest.raises(
        DataError,
        match=r"No test row of log\.csv is left.*All 5 test rows left are .* values 1 .. 1, .*rating_below is 3",
    ):
        ingest_text(tmp_path, HEADER + rows, clean_test=True)


def test_sources_that_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Expected one source.*Received: data, dataset"):
        ingest(IngestConfig(data=tmp_path, dataset="movielens/100k-ratings"))
    with pytest.raises(ConfigError, match=r"Received: train, test without valid"):
        ingest(IngestConfig(train=tmp_path, test=tmp_path))
    with pytest.raises(ConfigError, match=r"must be below 1\. Received: 0.5 \+ 0.5"):
        ingest_text(tmp_path, HEADER + ROWS, split=Split(valid=0.5, test=0.5))


@pytest.mark.parametrize("value", [b"x", (1, 2), 1j], ids=["bytes", "tuple", "complex"])
def test_values_that_are_no_ids_are_refused(value: object) -> None:
    frame = pd.DataFrame({"user_id": pd.Series([value, 1], dtype=object), "item_id": [1, 2]})
    with pytest.raises(DataError, match=f"'user_id' expects text, numbers or dates. Received: {type(value).__name__}"):
        from_frame(frame)


def test_one_column_for_two_purposes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"columns\.user and ingest\.columns\.item .*'user_id' for both"):
        ingest_text(tmp_path, HEADER + ROWS, columns=Columns(item="user_id"))


def test_a_number_that_no_float_holds_is_counted(tmp_path: Path) -> None:
    lines = [f'{{"user_id": {u}, "item_id": {i}, "rating": 4}}' for u in range(5) for i in range(5)]
    lines += [f'{{"user_id": 1, "item_id": 9, "rating": {value}}}' for value in (10**400, -(10**400), '"x"')]
    rejected = ingest_text(tmp_path, "\n".join(lines), name="log.jsonl").manifest["rows"]["rejected"]
    assert rejected == {"rating not a number": 1, "rating not finite": 2}


def test_control_characters_and_long_fields_never_reach_a_message(tmp_path: Path) -> None:
    rows = "9,1,\x1b[31mred\u2028\u202e" + "x" * 1000 + "\n"
    manifest = ingest_text(tmp_path, HEADER + ROWS + rows).manifest
    (line,) = [line for line in summary(manifest) if "not a number" in line]
    assert line.endswith("x...')")
    assert r"'9,1,\x1b[31mred\u2028\u202exx" in line
    assert len(line) < 300
