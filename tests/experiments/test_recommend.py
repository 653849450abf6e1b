"""Rankings of many users as tables, and what goes into CSV files."""

import io

import pandas as pd
import pytest

from tfadt.errors import DataError
from tfadt.experiments.recommend import read_items, read_users, to_csv, with_items


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("7\n8\n\n9\n", ["7", "8", "9"]),
        ("user_id\na\nb\n", ["a", "b"]),
        ("name,user_id\nx,a\ny,b\n", ["a", "b"]),
        ('\ufeff"a, b"\r\nc\r\n', ["a, b", "c"]),
    ],
)
def test_users_are_read_one_a_line_or_from_their_column(text, ids, tmp_path):
    path = tmp_path / "users.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_users(path) == ids


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names no user"),
        (b"user_id\n", "names no user"),
        (b"a,b\nc,d\n", "has several columns. Expected one of them to be named user_id"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_of_users_that_cannot_be_used_is_one_sentence(content, message, tmp_path):
    path = tmp_path / "users.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_users(path)


def test_items_bring_their_titles_where_the_file_has_them(tmp_path):
    path = tmp_path / "titles.csv"
    path.write_text("item_id,title\n3,Three\n5,Five\n")
    ranked = pd.DataFrame({"user_id": ["a", "a"], "rank": [1, 2], "item_id": [5, 4], "score": [1.0, 0.5]})
    assert with_items(ranked, read_items(path))["title"].tolist() == ["Five", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,title\n1,a\n", "must have a column item_id"),
        ("item_id\n1\n", "must have a column item_id and another one"),
        ("item_id,title\n1,a\n1,b\n", "names the item '1' twice"),
        ("item_id,title\n1,a\n2,b,c\n", "row 3: expected 2 values. Received: 3"),
    ],
)
def test_a_file_of_items_that_cannot_be_used_is_one_sentence(text, message, tmp_path):
    path = tmp_path / "titles.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_items(path)


def test_ids_that_a_spreadsheet_would_run_are_disarmed_and_numbers_are_not():
    ids = ["=cmd|'/c calc'!A1", "+1+1", "-x", "@SUM(A1)", "-5", "1e3", "plain"]
    text = to_csv(pd.DataFrame({"item_id": ids, "score": [-1.0] * 7}))
    found = pd.read_csv(io.StringIO(text), dtype=str)
    assert found["item_id"].tolist() == [*(f"'{id_}" for id_ in ids[:4]), *ids[4:]]
    assert found["score"].tolist() == ["-1.0"] * 7
