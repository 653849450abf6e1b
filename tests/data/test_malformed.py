"""Random malformed files: a DataError or ConfigError, or an account that adds up; never another exception."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from soak import EXAMPLES

from tfadt.config.ingest import IngestConfig, Split
from tfadt.data.ingest import from_frame, ingest
from tfadt.errors import TfadtError

TABLE = pd.DataFrame(
    {
        "user_id": [user for user in range(4) for _ in range(5)],
        "item_id": [f"i{item}" for _ in range(4) for item in range(5)],
        "rating": [(3 * row) % 5 + 1 for row in range(20)],
        "timestamp": [1_600_000_000 + row for row in range(20)],
    }
)
AUTHORS = TABLE.assign(rating=TABLE["rating"] % 2)[["user_id", "item_id", "rating"]]
WELL_FORMED = {
    "log.csv": TABLE.to_csv(index=False).encode(),
    "log.tsv": TABLE.to_csv(index=False, sep="\t").encode(),
    "log.jsonl": TABLE.to_json(orient="records", lines=True).encode(),
    "log.parquet": TABLE.to_parquet(),
    "log.train.rating": AUTHORS.to_csv(index=False, header=False, sep="\t").encode(),
    "log.test.negative": AUTHORS[["user_id", "item_id"]].to_csv(index=False, header=False, sep="\t").encode(),
    "log.csv.gz": gzip.compress(TABLE.to_csv(index=False).encode(), mtime=0),
    "log.json": TABLE.to_json(orient="records").encode(),
}
CELLS = st.one_of(
    st.sampled_from(
        ["", "1", "a", "007", "1.0", "-5", "nan", "inf", "1e999", '"', '""', '"a,b"', '"a\nb"', "\ufeff", "9" * 25]
    ),
    st.text(max_size=6),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
SPLITS = st.builds(
    Split, method=st.sampled_from(["random", "time", "leave_last_out"]), valid=st.just(0.2), test=st.just(0.3)
)
REPEATED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def check(path: Path, content: bytes, split: Split, rows_in: int | None = None) -> None:
    """Ingests; `rows_in` is what the account must start from, if it is known."""
    path.write_bytes(content)
    try:
        data = ingest(IngestConfig(data=path, split=split))
    except TfadtError:
        return
    rows = data.manifest["rows"]
    assert rows["in"] == sum(rows["kept"].values()) + sum(rows["rejected"].values())
    assert rows_in is None or rows["in"] == rows_in
    assert rows["kept"] == {name: len(getattr(data, name)) for name in rows["kept"]}
    json.dumps(data.manifest, allow_nan=False).encode()


@given(name=st.sampled_from(sorted(WELL_FORMED)), content=st.binary(max_size=300), split=SPLITS)
@REPEATED
def test_random_bytes(name: str, content: bytes, split: Split, tmp_path: Path) -> None:
    check(tmp_path / name, content, split)


@given(name=st.sampled_from(sorted(WELL_FORMED)), data=st.data(), split=SPLITS)
@REPEATED
def test_bytes_replaced_inserted_or_cut(name: str, data: st.DataObject, split: Split, tmp_path: Path) -> None:
    content = WELL_FORMED[name]
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(start + 8, len(content))))
        content = content[:start] + data.draw(st.binary(max_size=6)) + content[end:]
    check(tmp_path / name, content, split)


@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=8),
    separator=st.sampled_from(",\t;"),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    split=SPLITS,
)
@example(rows=[["0", "i0", "\ufeff", "1"]], separator=",", ending="\n", split=Split())
@REPEATED
def test_strange_cells(rows: list[list[str]], separator: str, ending: str, split: Split, tmp_path: Path) -> None:
    text = TABLE.to_csv(index=False, sep=separator, lineterminator=ending)
    text += ending.join(separator.join(row) for row in rows)
    check(tmp_path / "log.csv", text.encode("utf-8", "replace"), split)


@given(
    records=st.lists(
        st.dictionaries(st.sampled_from(["user_id", "item_id", "rating", "timestamp", "x"]), VALUES), max_size=6
    ),
    alone=st.booleans(),
    split=SPLITS,
)
@REPEATED
def test_strange_json_values(records: list[dict[str, object]], alone: bool, split: Split, tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(record) for record in records).encode()
    content = lines if alone else WELL_FORMED["log.jsonl"] + b"\n" + lines
    check(tmp_path / "log.jsonl", content, split, rows_in=len(records) + (0 if alone else len(TABLE)))


@given(
    rows=st.lists(st.lists(st.text(st.characters(exclude_characters='\r\n\0",'), max_size=5), min_size=1, max_size=5)),
    split=SPLITS,
)
@REPEATED
def test_no_line_is_lost(rows: list[list[str]], split: Split, tmp_path: Path) -> None:
    content = TABLE.to_csv(index=False) + "\n".join(",".join(row) for row in rows)
    not_blank = sum(row != [""] for row in rows)
    check(tmp_path / "log.csv", content.encode("utf-8", "replace"), split, rows_in=len(TABLE) + not_blank)


TEXTS = st.one_of(
    st.sampled_from(['"', '""', '"a', 'a"', "a,b", "a\nb", '"\n"', ",", "\n", "a;b", " x ", "007", "\\N x", "-", "é\u2028"]),
    st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1, max_size=5),
)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), max_size=8)


def same_data(frame: pd.DataFrame, path: Path, **settings: Any) -> None:
    """A file gives the data of the table that was written to it, whatever becomes of them."""
    found = []
    for read in (lambda: from_frame(frame), lambda: ingest(path, **settings)):
        try:
            data = read()
            found.append((data.manifest["fingerprint"], data.manifest["rows"]["rejected"]))
        except TfadtError as error:
            found.append((type(error), ""))
    assert found[0] == found[1]


@given(pairs=PAIRS, separator=st.sampled_from(",;\t|"), always=st.booleans())
@REPEATED
def test_what_csv_quotes_is_read_as_it_was(
    pairs: list[tuple[str, str]], separator: str, always: bool, tmp_path: Path
) -> None:
    table = TABLE.astype(str)[["user_id", "item_id"]]
    frame = pd.concat([table, pd.DataFrame(pairs, columns=["user_id", "item_id"])], ignore_index=True)
    quoting = csv.QUOTE_ALL if always else csv.QUOTE_MINIMAL
    frame.to_csv(tmp_path / "log.csv", sep=separator, index=False, quoting=quoting, lineterminator="\n")
    same_data(frame, tmp_path / "log.csv", separator=separator, quotes="rfc4180")


@given(pairs=PAIRS)
@REPEATED
def test_what_json_escapes_is_read_as_it_was(pairs: list[tuple[str, str]], tmp_path: Path) -> None:
    table = TABLE.astype(str)[["user_id", "item_id"]]
    frame = pd.concat([table, pd.DataFrame(pairs, columns=["user_id", "item_id"])], ignore_index=True)
    lines = "".join(json.dumps(row) + "\n" for row in frame.to_dict("records"))
    (tmp_path / "log.jsonl").write_text(lines)
    same_data(frame, tmp_path / "log.jsonl")


@given(
    users=st.sampled_from(["int64", "uint64", "int8", "float64", "str", "datetime64[us]", "bool", "category"]),
    times=st.sampled_from(["int64", "float64", "datetime64[ns]", "datetime64[s]", "str"]),
    holes=st.lists(st.integers(0, 19), max_size=4),
    split=SPLITS,
)
@REPEATED
def test_columns_of_parquet_are_those_of_the_table(
    users: str, times: str, holes: list[int], split: Split, tmp_path: Path
) -> None:
    frame = TABLE.assign(user_id=TABLE["user_id"].astype(users), timestamp=TABLE["timestamp"].astype(times))
    frame.loc[holes, "rating"] = None
    frame.to_parquet(tmp_path / "log.parquet")
    same_data(frame, tmp_path / "log.parquet")
    check(tmp_path / "log.parquet", (tmp_path / "log.parquet").read_bytes(), split)
