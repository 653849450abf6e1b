"""Lines become checked examples, and no line is lost: each is an example or counted under a reason."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from soak import EXAMPLES

from tfadt.config.ingest import IngestConfig
from tfadt.data.cleaning import Account, Rules, rows_sql
from tfadt.data.database import Database
from tfadt.data.files import File
from tfadt.data.readers import read_file
from tfadt.errors import DataError

tfds = pytest.importorskip("tensorflow_datasets")
from tfadt.datasets.files import split_files  # noqa: E402
from tfadt.datasets.formats import AuthorsFormat, Delimited, JsonLines  # noqa: E402
from tfadt.datasets.rows import ItemFilter, RowReader  # noqa: E402

FIELDS = {"user": "user_id", "item": "item_id", "rating": "rating", "timestamp": "timestamp"}
NAMES = ("user_id", "item_id", "rating", "timestamp")
READERS: dict[str, tuple[str, RowReader]] = {
    "csv": ("log.csv", RowReader(Delimited(FIELDS, names=NAMES), "rating", True)),
    "tsv": ("log.tsv", RowReader(Delimited(FIELDS, "\t", NAMES), "rating", True)),
    "json": ("log.json", RowReader(JsonLines(FIELDS), "rating", True)),
    "authors train": ("x.train.rating", RowReader(AuthorsFormat(), "false_positive", False)),
    "authors test": ("x.test.negative", RowReader(AuthorsFormat(), "false_positive", False)),
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[list[dict[str, Any]], Account]]:
    """Reads a file of a content in ranges of a size."""

    def read(reader: RowReader, name: str, content: bytes, size: int = 1 << 20):
        path = tmp_path / name
        path.write_bytes(content)
        account = Account()
        parts = split_files([tfds.core.Path(path)], reader.format.header, size)
        return [row for part in parts for _, row in reader.read(part, account)], account

    return read


def test_csv_by_hand(read) -> None:
    content = (
        b"timestamp,user_id,item_id,rating,brand\n"
        b'100,"Kim, R.",7,2.5,x\n'  # below 3: a false positive
        b'101,"Sam ""S""",7,3,x\n'
        b"102,joan,007,5\n"  # a field is missing
        b"103,joan,,5,x\n"
        b'104,"joan,7,5,x\n'  # the quote is never closed: it is text, and takes no other line with it
        b"105,joan,7,many,x\n"
        b"106,joan,7,,x\n"
        b"never,joan,7,4,x\n"
        b"107,caf\xe9,7,4,x\n"
        b"108,joan,007,4,x"
    )
    rows, account = read(RowReader(Delimited(FIELDS), "rating", True), "log.csv", content)
    assert rows == [
        {"user_id": "Kim, R.", "item_id": "7", "rating": 2.5, "timestamp": 100, "false_positive": True},
        {"user_id": 'Sam "S"', "item_id": "7", "rating": 3.0, "timestamp": 101, "false_positive": False},
        {"user_id": '"joan', "item_id": "7", "rating": 5.0, "timestamp": 104, "false_positive": False},
        {"user_id": "joan", "item_id": "007", "rating": 4.0, "timestamp": 108, "false_positive": False},
    ]
    assert account.summary() == {
        "in": 10,
        "rejected": {
            "item_id missing": 1,
            "not utf-8 text": 1,
            "rating missing": 1,
            "rating not a number": 1,
            "timestamp missing, or no number and no ISO 8601 date": 1,
            "wrong number of fields": 1,
        },
    }


def test_json_by_hand(read) -> None:
    reader = RowReader(
        JsonLines({"user": "u", "item": "i", "dwell_time": "t", "timestamp": "when"}),
        "dwell_time",
        True,
        ItemFilter({"a": True, "7": True, "b": False}, "not of interest", "not known"),
    )
    lines = [
        '{"u": "x", "i": "a", "t": 9.99, "when": "2018-01-01 00:00:01"}',
        '{"u": "x", "i": 7, "t": 10, "when": "1970-01-01T00:00:00Z"}',
        '{"u": "x", "i": "b", "t": 10, "when": "2018-01-01 00:00:01"}',
        '{"u": "x", "i": "c", "t": 10, "when": "2018-01-01 00:00:01"}',
        '{"u": "x", "t": 10, "when": "2018-01-01 00:00:01"}',
        '{"u": null, "i": "a", "t": 10, "when": "2018-01-01 00:00:01"}',
        '{"u": ["x"], "i": "a", "t": 10, "when": "2018-01-01 00:00:01"}',
        '{"u": "x", "i": "a", "t": -1, "when": "2018-01-01 00:00:01"}',
        '{"u": "x", "i": "a", "t": 1e400, "when": "2018-01-01 00:00:01"}',
        '{"u": "x", "i": "a", "when": "2018-01-01 00:00:01"}',
        '{"u": "x", "i": "a", "t": 10, "when": "soon"}',
        '["x", "a", 10]',
        '{"u": "x", "i": "a", "t": 10',
    ]
    rows, account = read(reader, "log.json", "\n".join(lines).encode())
    assert [(row["user_id"], row["item_id"], row["timestamp"], row["false_positive"]) for row in rows] == [
        ("x", "a", 1514764801, True),
        ("x", "7", 0, False),
    ]
    assert [float(row["dwell_time"]) for row in rows] == pytest.approx([9.99, 10.0])
    assert account.summary() == {
        "in": 13,
        "rejected": {
            "dwell_time missing": 1,
            "dwell_time negative": 1,
            "dwell_time not finite": 1,
            "item_id missing": 1,
            "not a JSON object": 2,
            "not known": 1,
            "not of interest": 1,
            "timestamp missing, or no number and no ISO 8601 date": 1,
            "user_id missing": 2,
        },
    }


def test_the_authors_pair_is_parsed_and_never_evaluated(read, tmp_path: Path) -> None:
    evil = f"(__import__('os').mkdir('{tmp_path}/evil'), 11)"
    content = f"(3, 14)\t9\t8\n{evil}\t1\n5\t6\n7\n"
    rows, account = read(READERS["authors test"][1], "x.test.negative", content.encode())
    assert [(row["user_id"], row["item_id"], row["false_positive"]) for row in rows][::2] == [
        ("3", "14", False),
        ("5", "6", False),
    ]
    assert not (tmp_path / "evil").exists()
    assert account.summary() == {"in": 4, "rejected": {"wrong number of fields": 1}}


@pytest.mark.parametrize(
    ("first_line", "columns"),
    [
        (b"user_id,parent_asin,rating,timestamp\n", "'user_id', 'parent_asin'"),
        (b"\n", "none"),
        (b"1,2,3\n", "'1', '2'"),
        (b"caf\xe9,2,3,4\n", "none"),
    ],
)
def test_names_that_are_not_ours_are_not_read_by_their_place(first_line: bytes, columns: str, read) -> None:
    with pytest.raises(DataError, match=rf"log\.csv has no column '.*'\. Received the columns: {columns}"):
        read(READERS["csv"][1], "log.csv", first_line + b"1,2,3,4\n")


def test_a_table_without_names_is_read_by_place(read) -> None:
    rows, _ = read(
        RowReader(Delimited(FIELDS, names=("item_id", "user_id", "rating", "timestamp")), "rating", True), "a", b"I,U,5,9\n"
    )
    assert (rows[0]["user_id"], rows[0]["item_id"]) == ("U", "I")


@pytest.mark.parametrize("written", ["-0.5", "-500e-3", '"1969-12-31T23:59:59.500Z"', '"1969-12-31 23:59:59,5 UTC"'])
def test_times_are_whole_seconds_rounded_down(written: str, read) -> None:
    line = f'{{"user_id": 1, "item_id": 2, "rating": 3, "timestamp": {written}}}'
    rows, _ = read(READERS["json"][1], "log.json", line.encode())
    assert [row["timestamp"] for row in rows] == [-1]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_the_unit_of_a_time_is_told_by_its_size(unit: int, read) -> None:
    rows, _ = read(READERS["tsv"][1], "log.tsv", f"1\t2\t3\t{1_514_764_801 * unit}".encode())
    assert [row["timestamp"] for row in rows] == [1_514_764_801]


def test_a_reader_that_has_read_is_pickled(read) -> None:
    item_filter = ItemFilter({"a": True, "b": False}, "not of interest", "not known")
    reader = RowReader(AuthorsFormat(), "false_positive", False, item_filter)
    first, _ = read(reader, "x.train.rating", b"1\ta\t1\n1\tb\t1\n")
    again, account = read(pickle.loads(pickle.dumps(reader)), "x.train.rating", b"1\ta\t1\n1\tb\t1\n")
    assert first == again == [{"user_id": "1", "item_id": "a", "false_positive": False}]
    assert account.rejected == {"not of interest": 1}


FAULTY = [
    ["3", "7", "2.5", "1514764801"],
    ["3", "", "5", "1514764801"],
    ["NULL", "007", "5", "1514764801"],
    ["3", "8", "many", "1514764801"],
    ["3", "8", "inf", "1514764801"],
    ["3", "8", " ", "1514764801"],
    ["4", "7", "3", "2018-01-01 00:00:01.5"],
    ["4", "8", "3", "1514764801000"],
    ["4", "9", "3", "01/02/2018"],
    ["4", '"9', "3", "1514764801"],
    ["4", '"9"', "3", "1514764801"],
    ["4", "9"],
    ["4", "9", "3", "1", "1"],
    ["4", "9\0", "3", "1514764801"],
    ["4", "9", "1"],
    ["4", "9", "0"],
    ["4", "9", "yes"],
    ["4", "9", "1.0"],
    ["4", "9", ""],
]


@pytest.mark.parametrize("kind", sorted(READERS))
def test_a_row_is_judged_as_ingest_judges_it(kind: str, read, tmp_path: Path) -> None:
    name, reader = READERS[kind]
    if kind == "json":
        lines = [json.dumps(dict(zip(NAMES, row, strict=False))) for row in FAULTY] + ["[]", '{"user_id": 1']
    else:
        lines = [("," if kind == "csv" else "\t").join(row) for row in FAULTY]
    rows, account = read(reader, name, "\n".join(lines).encode() + b"\ncaf\xe9")
    columns = dict(zip(("user", "item", "rating", "timestamp"), "1234", strict=True))
    # The builders know which files have quotes, and that a record is a line.
    by_place = {"header": False, "columns": columns, "quotes": "auto" if kind == "csv" else "none"}
    config = IngestConfig(**by_place if kind in ("csv", "tsv") else {})
    file = File(tmp_path / name, None, {"csv": "csv", "tsv": "tsv", "json": "jsonl"}.get(kind, "adt"), "none")
    with Database([file.path]) as database:
        source = read_file(file, config, database)
        found = rows_sql(source, Rules(reader.rule, reader.timed, config))
        whole = database.run(f"SELECT reason, user, item, number, time, flags & 1 = 1 FROM ({found})")
    reasons = [defect for _, defect, _ in source.table.lines.broken] + [reason for reason, *_ in whole if reason]
    assert account.rejected == Counter(reasons)
    assert account.rows_in == len(lines) + 1
    assert rows == [
        {"user_id": user, "item_id": item, "false_positive": false_positive}
        | ({"rating": number} if reader.rule == "rating" else {})
        | ({"timestamp": time // 10**6} if reader.timed else {})
        for reason, user, item, number, time, false_positive in whole
        if not reason
    ]
    assert len(reasons) > 3
    assert len(rows) > 1


CELLS = st.one_of(
    st.sampled_from(["", "1", "a", "007", "3.0", "-5", "nan", "inf", "1e999", '"', '""', '"a', 'x"y', "\r", "\0", "9" * 25]),
    st.text(max_size=4),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=4)),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
RECORDS = st.dictionaries(st.sampled_from(NAMES), VALUES).map(lambda record: json.dumps(record).encode())


@given(
    kind=st.sampled_from(sorted(READERS)),
    rows=st.lists(st.lists(CELLS, max_size=5), max_size=8),
    separator=st.sampled_from(["\t", ","]),
    size=st.integers(1, 200),
)
@example(kind="csv", rows=[["1", '"'], ["2", 'x"y', '"a', "4"], ["1", "2", "3", "4"]], separator=",", size=200)
@settings(max_examples=3 * EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_line_is_lost(kind: str, rows: list[list[str]], separator: str, size: int, read) -> None:
    lines = [separator.join(row).replace("\n", " ").encode("utf-8", "surrogatepass") for row in rows]
    check(kind, lines, size, read)


@given(lines=st.lists(st.one_of(RECORDS, st.binary(max_size=8)), max_size=8), size=st.integers(1, 200))
@settings(max_examples=3 * EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_object_is_lost(lines: list[bytes], size: int, read) -> None:
    check("json", [line.replace(b"\n", b"") for line in lines], size, read)


def check(kind: str, lines: list[bytes], size: int, read) -> None:
    """Reads the lines after a good row, by which a table without names is known as one."""
    name, reader = READERS[kind]
    separator = "," if kind == "csv" else "\t"
    first = json.dumps(dict.fromkeys(NAMES, 3)) if kind == "json" else separator.join("3333")
    first = {"authors train": "3\t3\t1", "authors test": "3\t3"}.get(kind, first)
    rows, account = read(reader, name, b"\n".join([first.encode(), *lines]), size)
    assert account.rows_in == len(rows) + sum(account.rejected.values())
    # A carriage return within a line divides it.
    assert account.rows_in == 1 + sum(bool(part.strip()) for line in lines for part in line.split(b"\r"))
    assert rows[0]["user_id"] == "3"
    for row in rows:
        assert row["user_id"]
        assert row["item_id"]
        assert isinstance(row["false_positive"], bool)
        row["user_id"].encode()
