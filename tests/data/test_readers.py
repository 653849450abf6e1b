"""Every format gives the same data; what cannot be parsed is counted, with its line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfadt.config.ingest import Columns, IngestConfig, Split
from tfadt.config.loading import dump, load_config
from tfadt.data.ingest import from_frame, ingest
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError

FRAME = pd.DataFrame(
    [(f"u{user}", f"i{item}", (user * item) % 3 + 3) for user in range(4) for item in range(5)],
    columns=["user_id", "item_id", "rating"],
)


def zst(path: Path, content: bytes) -> None:
    with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as stream:
        stream.write(content)


CSV, LINES = FRAME.to_csv(index=False).encode(), FRAME.to_json(orient="records", lines=True).encode()
WRITERS: dict[str, Callable[[Path], Any]] = {
    "log.csv": lambda path: path.write_bytes(CSV),
    "log.csv.gz": lambda path: path.write_bytes(gzip.compress(CSV)),
    "log.csv.zst": lambda path: zst(path, CSV),
    "log.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "log.tsv.gz": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "semicolons.csv": lambda path: FRAME.to_csv(path, index=False, sep=";"),
    "bars.csv": lambda path: FRAME.to_csv(path, index=False, sep="|"),
    "utf16.csv": lambda path: path.write_bytes(CSV.decode().encode("utf-16")),
    "quoted.csv": lambda path: FRAME.to_csv(path, index=False, quoting=1),
    "log.parquet": lambda path: FRAME.to_parquet(path),
    "log.jsonl": lambda path: path.write_bytes(LINES),
    "log.jsonl.gz": lambda path: path.write_bytes(gzip.compress(LINES)),
    "lines.json": lambda path: path.write_bytes(LINES),
    "array.json": lambda path: FRAME.to_json(path, orient="records"),
    "pretty.json": lambda path: FRAME.to_json(path, orient="records", indent=2),
    "array.json.gz": lambda path: path.write_bytes(gzip.compress(FRAME.to_json(orient="records").encode())),
}
PLAIN = IngestConfig(split=Split(valid=0.2, test=0.2), clean_test=False)


@pytest.fixture(scope="module")
def expected() -> InteractionData:
    return from_frame(FRAME, PLAIN)


def test_a_path_is_of_the_days_that_are_named(tmp_path: Path) -> None:
    for n, day in enumerate(("2026/02/28", "2026/03/01")):
        (tmp_path / day).mkdir(parents=True)
        FRAME[n::2].to_csv(tmp_path / day / "log.csv", index=False)
    settings = [f"ingest.data={tmp_path}/{{date:%Y/%m/%d}}/*.csv", "ingest.date=2026-03-01"]
    config = load_config(None, settings).ingest
    assert config.data == (tmp_path / "2026/03/01/*.csv",)
    assert len(ingest(config).items) == len({*FRAME.item_id[1::2]})
    both = load_config(None, [*settings, "ingest.days=2"])
    assert ingest(both.ingest).manifest["counts"]["train"] > ingest(config).manifest["counts"]["train"]
    # A configuration that is kept says which files were read.
    assert load_config(base=dump(both)) == both
    with pytest.raises(DataError, match=r"2026/02/27/\*.csv matches no file"):
        ingest(load_config(None, [*settings, "ingest.days=3"]).ingest)
    with pytest.raises(ConfigError, match=r"is of a day that is not named. Expected --date"):
        ingest(load_config(None, settings[:1]).ingest)
    with pytest.raises(ConfigError, match=r"Setting 'ingest': a day has its place in a path, such as .*'logs/\{date\}'"):
        load_config(None, ["ingest.data=log.csv", "ingest.date=2026-03-01"])
    with pytest.raises(ConfigError, match=r"Setting 'ingest.date': .*Received: '28.2.2026'"):
        load_config(None, [settings[0], "ingest.date=28.2.2026"])


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_gives_the_same_data(name: str, expected: InteractionData, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    data = ingest(PLAIN.model_copy(update={"data": (tmp_path / name,)}))
    assert data.manifest["rows"]["in"] == 20
    assert data.manifest["rows"]["rejected"] == {}
    assert data.manifest["fingerprint"] == expected.manifest["fingerprint"]


@pytest.mark.parametrize(
    "frame",
    [
        FRAME.astype({"user_id": "category", "item_id": "string", "rating": "Float32"}),
        pl.from_pandas(FRAME),
        pa.Table.from_pandas(FRAME),
        FRAME.assign(rating=FRAME["rating"].astype(str)),
        FRAME.sample(frac=1, random_state=0),
    ],
    ids=["pandas", "polars", "pyarrow", "text", "shuffled"],
)
def test_each_table_in_memory_gives_the_same_data(frame: Any, expected: InteractionData) -> None:
    data = ingest(frame, split=PLAIN.split, clean_test=False)
    assert data.manifest["fingerprint"] == expected.manifest["fingerprint"]


def test_several_files_folders_patterns_and_partitions(expected: InteractionData, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    for country, part in (("NO", FRAME[:12]), ("SE", FRAME[12:])):
        (folder / f"country={country}").mkdir(parents=True)
        part.to_parquet(folder / f"country={country}" / "part-0.parquet")
    (folder / "_SUCCESS").write_text("")
    settings = {"split": PLAIN.split, "clean_test": False}
    parts = sorted(folder.rglob("*.parquet"))
    for source in (folder, str(folder / "*" / "*.parquet"), parts, [*parts, *parts]):
        data = ingest(source, **settings)
        assert data.manifest["fingerprint"] == expected.manifest["fingerprint"]
        assert [source["in"] for source in data.manifest["rows"]["sources"]] == [12, 8]
    norway = ingest(folder, where="country = 'NO'", **settings)
    assert norway.manifest["rows"]["rejected"]["left out by where"] == 8
    with pytest.raises(DataError, match=r"nothing-\*\.csv matches no file"):
        ingest(tmp_path / "nothing-*.csv")


@pytest.mark.parametrize("name", ["it's.csv", "a;b.csv", "a*.csv", "[x].csv", "SELECT 1; DROP TABLE x;--.csv", 'quo"te.csv'])
def test_a_file_name_is_never_a_pattern_or_sql(name: str, expected: InteractionData, tmp_path: Path) -> None:
    (tmp_path / "ab.csv").write_text("not,this\n")
    (tmp_path / name).write_bytes(CSV)
    data = ingest(PLAIN.model_copy(update={"data": (tmp_path / name,)}))
    assert data.manifest["fingerprint"] == expected.manifest["fingerprint"]
    assert data.manifest["source"]["name"] == name


def test_a_condition_reads_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(CSV)
    (tmp_path / "secret.csv").write_text("x\n1\n")
    for condition in (
        f"rating > (SELECT count(*) FROM read_csv('{tmp_path}/secret.csv'))",
        "rating > (SELECT count(*) FROM '/etc/passwd')",
        "1); DROP TABLE pairs; --",
        "colour = 3",
    ):
        with pytest.raises(ConfigError, match=r"ingest\.where expects a condition"):
            ingest(tmp_path / "log.csv", where=condition)


def test_where_sees_numbers_in_text(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(CSV)
    rows = ingest(tmp_path / "log.csv", where="rating > 3.5 OR item_id <> 'i0' -- a remark").manifest["rows"]
    assert rows["rejected"]["left out by where"] == 4  # the first item's ratings are 3


def test_a_given_format_wins_over_the_name(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(CSV)
    assert ingest(path, format="csv").manifest["rows"]["in"] == 20
    assert ingest(path, separator=",").manifest["rows"]["in"] == 20
    with pytest.raises(DataError, match=r"cannot be told from its name.*Received: '.txt'"):
        ingest(path)


def test_columns_by_place_and_a_separator_of_two_characters(expected: InteractionData, tmp_path: Path) -> None:
    path = tmp_path / "ratings.dat"
    path.write_text("".join(f"{rating}::{user}::{item}\n" for user, item, rating in FRAME.itertuples(index=False)))
    data = ingest(
        path, separator="::", header=False, columns={"user": 2, "item": 3, "rating": 1}, split=PLAIN.split, clean_test=False
    )
    assert data.manifest["fingerprint"] == expected.manifest["fingerprint"]


def test_well_known_names_stand_in_for_default_names_only(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(CSV.replace(b"user_id,item_id", b"userId,movieId"))
    assert ingest(path).manifest["feedback"]["rule"] == "rating"
    with pytest.raises(DataError, match=r"no column 'film'.*ingest\.columns\.item.*'movieId'"):
        ingest(path, columns=Columns(item="film"))


def account(path: Path, content: str, **settings: Any) -> dict[str, Any]:
    """Ingests lines after those of FRAME; returns the account of the file."""
    path.write_text(CSV.decode() + content if path.suffix == ".csv" else content)
    return ingest(path, **settings).manifest["rows"]["sources"][0]


def test_ragged_rows_are_counted_with_their_lines(tmp_path: Path) -> None:
    found = account(tmp_path / "log.csv", "1,2\n1,2,3,4\n\nu0,i9,7\n5\n")
    assert found["in"] == 24
    assert found["rejected"] == {"wrong number of fields": 3}
    assert found["samples"]["wrong number of fields"] == [
        {"line": 22, "text": "1,2"},
        {"line": 23, "text": "1,2,3,4"},
        {"line": 26, "text": "5"},
    ]


def test_a_header_that_returns_is_no_user(tmp_path: Path) -> None:
    found = account(tmp_path / "log.csv", "user_id,item_id,rating\nu0,i9,3\n")
    assert found["rejected"] == {"repeated header": 1}
    assert found["samples"]["repeated header"][0]["line"] == 22


@pytest.mark.parametrize("more", ["", '"user_id","item_id","a, b","rating"\n', '"u,0",i9,"x ""y""",3\n'])
def test_a_header_alone_may_be_quoted(tmp_path: Path, more: str) -> None:
    rows = "".join(f"{user},{item},x,{rating}\n" for user, item, rating in FRAME.itertuples(index=False))
    path = tmp_path / "log.csv"
    path.write_text('"user_id","item_id","a, b","rating"\n' + rows + more)
    data = ingest(path)
    (source,) = data.manifest["rows"]["sources"]
    assert source["in"] == len(FRAME) + bool(more)
    assert source["rejected"] == ({"repeated header": 1} if more.startswith('"user') else {})
    assert ("u,0" in data.users.ids) == more.startswith('"u,0')


def test_lines_that_are_no_text_are_counted_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(CSV + b"caf\xe9,i1,3\nu0,i9\n\x01,i1,3\nx\0,i2,3\nu1," + b"i" * 2_100_000 + b",3\nu0\n")
    found = ingest(path).manifest["rows"]["sources"][0]
    assert found["in"] == 26
    assert found["rejected"] == {
        "control character": 1,
        "line of more than 2 MB": 1,
        "not utf-8 text": 1,
        "wrong number of fields": 2,
    }
    assert [row["line"] for row in found["samples"]["wrong number of fields"]] == [23, 27]
    assert found["samples"]["not utf-8 text"][0]["line"] == 22
    assert ingest(path, encoding="latin-1").manifest["rows"]["rejected"].get("not utf-8 text") is None


def test_commas_newlines_quotes_and_long_ids_are_values(tmp_path: Path) -> None:
    path, long = tmp_path / "log.csv", "x" * 10_000
    ids = ['"a,b"', '"c\nd"', '"q""q"', long]
    path.write_text("user_id,item_id\n" + "".join(f"{user},{item}\n" for user in range(4) for item in ids))
    data = ingest(path)
    assert set(data.items.ids) == {"a,b", "c\nd", 'q"q', long}
    assert data.manifest["rows"]["in"] == 16
    assert data.manifest["notes"] == ["log.csv: 4 records have line breaks inside quotes"]


@pytest.mark.parametrize("row", ['u9,i2,"5', 'u9,"i2,5', '"u9,i2,5', 'u9,5" pipe,3'])
def test_a_stray_quote_swallows_no_rows(row: str, tmp_path: Path) -> None:
    found = account(tmp_path / "log.csv", f"{row}\nu9,i3,4\nu9,i4,4\n")
    assert found["in"] == 23
    assert sum(found["rejected"].values()) == ("rating not a number" in found["rejected"])
    if found["rejected"]:
        assert found["samples"]["rating not a number"] == [{"line": 22, "text": row}]


@pytest.mark.parametrize("other", ["u9,i3,4", 'u9,"i3,4', 'u9,5" pipe,4'])
def test_a_stray_quote_swallows_no_rows_where_others_are_broken(other: str, tmp_path: Path) -> None:
    found = account(tmp_path / "log.csv", f'u9,"i2,5\nu9,i5,4\nu9\nu9,i6,4\nu9\n{other}\nu9,i4,4\n')
    assert found["in"] == 27
    assert found["rejected"]["wrong number of fields"] == 2


def test_quotes_that_are_asked_for_are_held_to(tmp_path: Path) -> None:
    found = account(tmp_path / "log.csv", 'u9,"i2,5\nu9,i3,4\n', quotes="rfc4180")
    assert found["rejected"] == {"a quote is opened and not closed": 1}
    assert found["in"] == 21


def test_rejected_rows_are_written_on_request(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(CSV + b"u0,i0,5\nu0\n\xe9,i1,3\nu0,i9,x\nu7,,3\n")
    data = ingest(tmp_path / "log.csv", rejected=tmp_path / "out" / "rejected.csv")
    rows = pd.read_csv(tmp_path / "out" / "rejected.csv")
    assert dict(rows.groupby("reason").size()) == data.manifest["rows"]["rejected"]
    by_line = rows.set_index("line")["reason"]
    assert by_line[2] == "duplicate pair"  # the later row of the pair is kept
    assert by_line[23] == "wrong number of fields"
    assert by_line[24] == "not utf-8 text"
    assert by_line[25] == "rating not a number"
    assert by_line[26] == "item_id missing"


def test_interactions_are_filtered_until_none_is_too_rare(tmp_path: Path) -> None:
    # Without the rare item, u9 has too few.
    found = account(tmp_path / "log.csv", "u9,i0,4\nu9,i1,4\nu9,rare,4\n", min_user_interactions=3, min_item_interactions=2)
    assert found["rejected"] == {"item with fewer than 2 interactions": 1, "user with fewer than 3 interactions": 2}


def test_broken_json_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(LINES + b'{"user_id":\n[1]\n3\nnull\n\n   \n{"user_id": "\\ud800"}\n')
    found = ingest(path).manifest["rows"]["sources"][0]
    assert found["in"] == 25
    assert found["rejected"] == {"not a JSON object": 5}
    assert [row["line"] for row in found["samples"]["not a JSON object"]] == [21, 22, 23]


def test_nested_fields_deep_lists_and_many_keys(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    rows = [{"user": {"id": u}, "a.b": i, "x": {f"k{u}{i}": 1}, "rating": 4} for u, i, _ in FRAME.itertuples(index=False)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"user": ' + "[" * 100_000 + "\n")
    data = ingest(path, columns={"user": "user.id", "item": "a.b"})
    assert set(data.users.ids) == {"u0", "u1", "u2", "u3"}
    assert data.manifest["rows"]["rejected"] == {"not a JSON object": 1}


def test_json_ids_stay_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    rows = [(9223372036854775808 + user, f"2020-01-0{item}") for user in range(2) for item in range(1, 5)]
    path.write_text("".join(f'{{"user_id": {user}, "item_id": "{item}"}}\n' for user, item in rows))
    data = ingest(path)
    assert data.users.ids.tolist() == ["9223372036854775808", "9223372036854775809"]
    assert data.items.ids.tolist() == [f"2020-01-0{item}" for item in range(1, 5)]


def parquet(path: Path, users: pa.Array, **more: pa.Array) -> Path:
    pq.write_table(pa.table({"user_id": users, "item_id": pa.array([f"i{n % 3}" for n in range(len(users))]), **more}), path)
    return path


def test_types_of_parquet(tmp_path: Path) -> None:
    def ids(users: pa.Array) -> list[Any]:
        return ingest(parquet(tmp_path / "log.parquet", users)).users.ids.tolist()

    big = pa.array([2**53 + 1] * 3 + [2**53 + 2] * 3 + [None], pa.int64())
    assert ids(big) == [2**53 + 1, 2**53 + 2]
    assert ids(pa.array([2**63 + 1] * 3 + [1] * 3, pa.uint64())) == ["1", str(2**63 + 1)]
    decimals = pa.array([1.0] * 3 + [2.0] * 3).cast(pa.decimal128(20, 9))
    assert ids(decimals) == [1, 2]
    with pytest.raises(DataError, match=r"'user_id' holds BLOB\. Expected text, numbers or dates"):
        ids(pa.array([b"x"] * 6))
    with pytest.raises(DataError, match=r"'user_id' holds .*\[\]\. Expected text, numbers or dates"):
        ids(pa.array([[1]] * 6))


def test_times_far_away_and_of_other_units(tmp_path: Path) -> None:
    users = pa.array([1, 1, 1, 2, 2, 2])
    for times in (
        pa.array([2**62] * 6, pa.timestamp("ns")),
        pa.array([300_000_000] * 6, pa.date32()),
        pa.array([1] * 6, pa.timestamp("ms", tz="+07:30")),
    ):
        data = ingest(parquet(tmp_path / "log.parquet", users, timestamp=times))
        assert data.manifest["rows"]["in"] == 6


def test_authors_rating_file_turns_the_flag_round(tmp_path: Path) -> None:
    for name, content in (
        ("train.rating", "0\t10\t1\n0\t11\t0\n1\t10\n1\t12\t1\t5\n1\t11\t1\n"),
        ("valid.rating", "0\t11\t1\n"),
        ("test.negative", "(0, 10)\t0\n1\t10\n(__import__('os'), 3)\t7\n5\n"),
    ):
        (tmp_path / f"adressa.{name}").write_text(content)
    data = ingest(tmp_path / "adressa")
    assert data.train.false_positive is not None
    assert data.train.false_positive.tolist() == [False, True, False]
    assert data.manifest["rows"]["rejected"] == {
        "test: pair also in train": 1,
        "test: user unseen in training": 1,
        "valid: pair also in train": 1,
        "wrong number of fields": 3,
    }


def test_rows_that_lost_their_pair_to_another_file_are_shown(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.csv").write_bytes(CSV + b"u0,i9,5\n" * number)
    found = ingest([tmp_path / f"{number}.csv" for number in range(3)]).manifest["rows"]["sources"]
    # The last row of a pair is kept, which is the last file's.
    assert [source["rejected"] for source in found] == [{"duplicate pair": n} for n in (20, 21, 1)]
    lines = [[row["line"] for row in source["samples"]["duplicate pair"]] for source in found]
    assert lines == [[2, 3, 4], [2, 3, 4], [22]]


def test_a_pair_that_another_split_has_twice_is_no_duplicate(tmp_path: Path) -> None:
    lines = CSV.decode().splitlines(keepends=True)
    train = [line for line in lines if not line.startswith(("u3,i4", "u2,i4"))]
    (tmp_path / "train.csv").write_text("".join([*train, "u0,i0,5\n"]))
    (tmp_path / "valid.csv").write_text("user_id,item_id,rating\nu0,i0,5\nu3,i4,5\nu3,i4,4\n")
    (tmp_path / "test.csv").write_text("user_id,item_id,rating\nu2,i4,5\n")
    splits = {name: tmp_path / f"{name}.csv" for name in ("train", "valid", "test")}
    valid = ingest(**splits, on_overlap="drop_from_test").manifest["rows"]["sources"][1]
    assert valid["rejected"] == {"duplicate pair": 1, "valid: pair also in train": 1}
    assert [row["line"] for row in valid["samples"]["duplicate pair"]] == [3]
    assert [row["line"] for row in valid["samples"]["valid: pair also in train"]] == [2]
