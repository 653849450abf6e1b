"""Every format gives the same table; what cannot be parsed is counted."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tfadt.config.ingest import Columns
from tfadt.data.readers import read
from tfadt.errors import DataError

FRAME = pd.DataFrame({"user_id": ["a", "b", "b"], "item_id": ["x", "x", "y"], "rating": ["1", "5", "3"]})
WRITERS: dict[str, Callable[[Path], None]] = {
    "log.csv": lambda path: FRAME.to_csv(path, index=False),
    "log.csv.gz": lambda path: FRAME.to_csv(path, index=False),
    "log.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "log.tsv.gz": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "log.parquet": lambda path: FRAME.to_parquet(path),
    "log.jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True),
    "log.jsonl.gz": lambda path: FRAME.to_json(path, orient="records", lines=True),
}


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_gives_the_same_table(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    result = read(tmp_path / name)
    assert result.rows_in == 3
    assert result.rejected == {}
    assert result.frame.astype(str).to_dict("list") == {
        "user": ["a", "b", "b"],
        "item": ["x", "x", "y"],
        "rating": ["1", "5", "3"],
    }


def test_gzipped_parquet(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet.gz"
    path.write_bytes(gzip.compress(FRAME.to_parquet()))
    assert read(path).frame["user"].tolist() == ["a", "b", "b"]


def test_a_given_format_wins_over_the_name(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    FRAME.to_csv(path, index=False)
    assert read(path, "csv").rows_in == 3
    with pytest.raises(DataError, match=r"cannot be told from its name.*Received: '.txt'"):
        read(path)


def test_well_known_names_stand_in_for_default_names_only(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("userId,movieId,rating,timestamp\n1,2,3,4\n")
    assert read(path).frame.columns.tolist() == ["user", "item", "rating", "timestamp"]
    with pytest.raises(DataError, match=r"no column 'film'.*ingest\.columns\.item.*'movieId'"):
        read(path, columns=Columns(item="film"))


def test_ragged_rows_are_counted_exactly(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,rating\n1,2,3\n1,2\n1,2,3,4\n\n5,6,7\n")
    result = read(path)
    assert result.rows_in == 4
    assert result.rejected == {"wrong number of fields": 2}
    assert result.frame["user"].tolist() == ["1", "5"]


def test_commas_newlines_quotes_and_long_ids_are_values(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    long = "x" * 10_000
    path.write_text(f'user_id,item_id\n1,"a,b"\n2,"c\nd"\n3,"q""q"\n4,{long}\n')
    result = read(path)
    assert result.frame["item"].tolist() == ["a,b", "c\nd", 'q"q', long]
    assert result.notes == ("log.csv: 1 line breaks lie inside quotes and are part of a value",)


@pytest.mark.parametrize(
    "rows",
    ['1,2,3\n2,2,"5\n2,3,4\n2,4,4\n', '1,2,3\n2,"2,5\n2,3,4\n2,4,4\n', '1,2,3\n"2,2,5\n2,3,4\n'],
    ids=["last field", "middle field", "first field"],
)
def test_a_quote_that_is_never_closed_swallows_no_rows(rows: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,rating\n" + rows)
    with pytest.raises(DataError, match=r"log\.csv: a quote .* opened and not closed"):
        read(path)


def test_broken_json_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    good = json.dumps({"user_id": 1, "item_id": "x"})
    path.write_text(f'{good}\n{{"user_id":\n[1]\n3\n\n{good}\n')
    result = read(path)
    assert result.rows_in == 5
    assert result.rejected == {"not a JSON object": 3}
    assert result.frame["user"].tolist() == [1, 1]


def test_json_ids_stay_what_they_are(tmp_path: Path) -> None:
    """Integers beyond 64 bits and texts like dates are the ones that pyarrow converts."""
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"user_id": 9223372036854775808, "item_id": "2020-01-01"}\n'
        '{"user_id": 9223372036854775809, "item_id": "2020-01-02"}\n'
    )
    frame = read(path).frame
    assert frame["user"].tolist() == [9223372036854775808, 9223372036854775809]
    assert frame["item"].tolist() == ["2020-01-01", "2020-01-02"]


def test_missing_integers_in_parquet_do_not_round_the_others(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pd.DataFrame({"user_id": pd.array([2**53 + 1, None], "Int64"), "item_id": [1, 2]}).to_parquet(path)
    assert int(read(path).frame["user"][0]) == 2**53 + 1


def test_authors_rating_file_turns_the_flag_round(tmp_path: Path) -> None:
    path = tmp_path / "adressa.train.rating"
    path.write_text("0\t10\t1\n0\t11\t0\n1\t10\n1\t12\t1\t5\n")
    result = read(path)
    assert result.frame.to_dict("list") == {
        "user": ["0", "0"],
        "item": ["10", "11"],
        "false_positive": ["0", "1"],
    }
    assert result.rows_in == 4
    assert result.rejected == {"wrong number of fields": 2}


def test_authors_test_file_reads_both_ways_of_writing_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "adressa.test.negative"
    path.write_text("(0, 10)\t0\n1\t11\n(__import__('os'), 3)\t7\n5\n")
    result = read(path)
    assert result.frame["user"].tolist() == ["0", "1", "(__import__('os'), 3)"]
    assert result.frame["item"].tolist() == ["10", "11", "7"]
    assert set(result.frame["false_positive"]) == {"0"}
    assert result.rejected == {"wrong number of fields": 1}
