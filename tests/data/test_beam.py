"""Apache Beam and DuckDB make one artifact of the same files, byte for byte."""

from __future__ import annotations

import glob
import gzip
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import EXAMPLES
from typer.testing import CliRunner

from tfadt.cli.main import app
from tfadt.config.ingest import IngestConfig
from tfadt.data import artifact
from tfadt.data.ingest import from_frame, ingest
from tfadt.errors import ConfigError, DataError, TfadtError, WorkerError

pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install 'tfadt[beam]'")
from apache_beam.io.filesystem import FileMetadata, MatchResult
from apache_beam.io.localfilesystem import LocalFileSystem

# The engine of the direct runner, which does not first look for a program to run in its place.
RUNNER = "--runner=FnApiRunner"


def outcome(config: IngestConfig, folder: Path) -> dict[str, bytes] | str:
    """Returns the files of the artifact, or the error."""
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            artifact.save(ingest(config, folder=folder), folder / "artifact")
        except TfadtError as error:
            return f"{type(error).__name__}: {error}"
    assert [path.name for path in folder.iterdir()] == ["artifact"]
    return {path.name: path.read_bytes() for path in (folder / "artifact").iterdir()}


def both(folder: Path, **settings: Any) -> dict[str, Any]:
    """Checks that both ways have one outcome, and returns the manifest."""
    config = IngestConfig(**settings)
    plain = outcome(config, folder / "duckdb")
    beamed = outcome(config.model_copy(update={"runner": "beam", "runner_options": (RUNNER,)}), folder / "beam")
    if isinstance(plain, str) or isinstance(beamed, str):
        assert beamed == plain
        return {"error": plain}
    manifest = json.loads(plain["manifest.json"])
    assert json.loads(beamed["manifest.json"]) == manifest
    assert beamed == plain
    return manifest


def text_of(rows: Sequence[Sequence[Any]], header: str) -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def test_files_of_three_formats_with_all_that_may_be_wrong(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    log = tmp_path / "log"
    log.mkdir()

    def rows(count: int) -> list[list[Any]]:
        users, items, ratings, times = (random.integers(0, high, count).tolist() for high in (12, 10, 6, 5))
        return [list(row) for row in zip(users, items, ratings, times, strict=True)]

    header, first = "user_id,item_id,rating,timestamp", rows(120)
    for row, place, value in ((0, 0, ""), (1, 2, "good"), (2, 2, ""), (3, 3, "soon"), (4, 3, ""), (5, 0, "3.0")):
        first[row][place] = value
    lines = [*text_of(first, header).splitlines(), header, "1,2", '7,"3",5,1', "11,9,5,1"]
    (log / "a.csv").write_text("\n".join(lines) + "\n")
    columns = dict(zip(header.split(","), zip(*rows(100), strict=True), strict=True))
    pa_parquet.write_table(pa.table({name: list(values) for name, values in columns.items()}), log / "b.parquet")
    objects = [json.dumps(dict(zip(header.split(","), row, strict=True))) for row in rows(60)]
    (log / "c.jsonl.gz").write_bytes(gzip.compress("\n".join([*objects, "no object", '{"user_id": 99}']).encode()))

    manifest = both(tmp_path, data=(log,), min_user_interactions=3, min_item_interactions=2)
    assert manifest["rows"]["in"] == 120 + 4 + 100 + 62
    assert {
        *("duplicate pair", "not a JSON object", "rating missing", "rating not a number", "repeated header"),
        *("timestamp missing, or no number and no ISO 8601 date", "user_id missing", "wrong number of fields"),
    } <= manifest["rows"]["rejected"].keys()
    assert all(source["samples"]["duplicate pair"] for source in manifest["rows"]["sources"])
    assert manifest["times"]["unreadable"] == 1
    assert "user_id is written with decimals (7.0): read as integers" in manifest["notes"]


def test_text_ids_partitions_a_condition_known_likes_and_last_interactions(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for country in ("NO", "SE", "DK"):
        folder = tmp_path / "log" / f"country={country}"
        folder.mkdir(parents=True)
        rows = [
            [f'"u, {u}"', f"i{i}", d, t, like]
            for u, i, d, t, like in zip(*(random.integers(0, high, 80).tolist() for high in (9, 8, 20, 4, 3)), strict=True)
        ]
        rows[7][2:4] = "", "2020-01-01"
        (folder / "part.csv").write_text(text_of(rows, "user_id,item_id,dwell_time,timestamp,extra_feedback"))

    manifest = both(
        tmp_path,
        data=(tmp_path / "log",),
        where="country <> 'DK' OR timestamp = 3",
        split={"method": "leave_last_out"},
        extra_feedback={"zero_means": "disliked"},
    )
    assert manifest["rows"]["rejected"]["left out by where"] > 40
    assert manifest["extra_feedback"]["source"] == "column"
    # Half of the dwell times are below ten seconds: the values of all files are counted.
    assert "The most common values: " in manifest["warnings"][0]
    assert [source["name"] for source in manifest["rows"]["sources"]] == [
        str(tmp_path / "log" / f"country={country}" / "part.csv") for country in ("DK", "NO", "SE")
    ]


class Shelf(LocalFileSystem):
    """Objects that have addresses, as in a cloud: `shelf://` before a path without its first slash."""

    @classmethod
    def scheme(cls) -> str:
        return "shelf"

    def has_dirs(self) -> bool:
        return False

    def mkdirs(self, path: str) -> None:
        pass

    def match(self, patterns: Sequence[str], limits: Any = None) -> list[MatchResult]:
        found = [glob.glob(self._path(pattern), recursive=True) for pattern in patterns]
        return [
            MatchResult(pattern, [FileMetadata(f"shelf:/{path}", 1) for path in paths if os.path.isfile(path)])
            for pattern, paths in zip(patterns, found, strict=True)
        ]

    def create(self, path: str, *arguments: Any, **more: Any) -> Any:
        return super().create(self._path(path), *arguments, **more)

    def open(self, path: str, *arguments: Any, **more: Any) -> Any:
        return super().open(self._path(path), *arguments, **more)

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            os.remove(self._path(path))

    @staticmethod
    def _path(address: str) -> str:
        return "/" + address.removeprefix("shelf://")


def test_given_splits_at_addresses_that_share_pairs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    everything = [(user, item) for user in range(6) for item in range(6)]
    parts = {"train": everything[:33], "valid": everything[25:34], "test": [*everything[20:28], *everything[33:]]}
    for name, rows in parts.items():
        (log / f"{name}.csv").write_text(text_of(rows, "user_id,item_id"))

    def at(folder: str) -> dict[str, Any]:
        return {name: (f"{folder}/{name}.*",) for name in parts} | {"on_overlap": "drop_from_test"}

    shared, address = tmp_path / "shared", f"shelf:/{log}"
    options = (RUNNER, f"--temp_location=shelf:/{shared}")
    plain = outcome(IngestConfig(**at(str(log))), tmp_path / "duckdb")
    beamed = outcome(IngestConfig(**at(address), runner="beam", runner_options=options), tmp_path / "beam")
    assert beamed == plain
    assert isinstance(plain, dict)
    assert json.loads(plain["manifest.json"])["rows"]["rejected"] == {
        "test: pair also in train": 8,
        "test: pair also in valid": 1,
        "valid: pair also in train": 8,
    }
    # A folder was shared, and nothing was left there.
    assert shared.exists()
    assert [path for path in shared.rglob("*") if path.is_file()] == []


IDS = st.sampled_from(["1", "2", "3", "4", "5", "2.0"])
ROW = st.tuples(
    IDS | st.just("x"),
    IDS,
    st.sampled_from(["1", "3", "4", "5", "5", "", "?"]),
    st.sampled_from(["1", "2", "3", "2020-01-01", "", "?"]),
)
SPLIT = st.fixed_dictionaries(
    {"method": st.sampled_from(["random", "time", "leave_last_out"]), "seed": st.integers(0, 3), "test": st.just(0.3)}
)


@pytest.mark.skipif(EXAMPLES < 100, reason="takes long, and the logs above have each kind of row: make soak")
@settings(max_examples=max(EXAMPLES // 10, 1))
@given(
    files=st.lists(st.lists(ROW, min_size=15, max_size=40), min_size=1, max_size=3),
    split=SPLIT,
    least=st.integers(1, 3),
    clean_test=st.booleans(),
)
def test_any_log_has_one_outcome(
    tmp_path_factory: pytest.TempPathFactory, files: list[Any], split: dict[str, Any], least: int, clean_test: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "log").mkdir()
    for number, rows in enumerate(files):
        # As integers or as text, as the rows have it: `x` is none.
        (folder / "log" / f"{number}.csv").write_text(text_of(rows, "user_id,item_id,rating,timestamp"))
    both(folder, data=(folder / "log",), split=split, min_item_interactions=least, clean_test=clean_test)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(text_of([(user, item) for user in range(5) for item in range(5)], "user_id,item_id"))
    return path


def test_a_file_that_cannot_be_read_is_named_as_duckdb_names_it(log: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("user,item\n1,2\n")
    manifest = both(tmp_path, data=(log, tmp_path / "other.csv"))
    assert manifest["error"].startswith(f"DataError: {tmp_path / 'other.csv'} has no column 'user_id'")


def test_a_worker_that_fails_leaves_nothing(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the worker was lost")

    monkeypatch.setattr("tfadt.data.beam_workers.merge_rows", fail)
    arguments = ["ingest", "--data", str(log), "--out", str(tmp_path / "out"), "--set", "ingest.runner=beam"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, WorkerError | SystemExit)
    assert result.exit_code != 0
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"rejected": "all.csv"}, r"ingest\.rejected is written by ingest\.runner = 'duckdb' alone\..*Received: all\.csv"),
        ({"runner_options": "--runner=Nope"}, r"ingest\.runner_options: Unexpected pipeline runner: Nope\. Valid values"),
        ({"runner_options": "--runner=FlinkRunner"}, r"expects --temp_location with FlinkRunner"),
        ({"runner_options": "--temp_location"}, r"ingest\.runner_options: argument --temp_location: expected one argument"),
        (
            {"runner": "duckdb", "runner_options": RUNNER},
            r"Expected none for ingest\.runner = 'duckdb'\. Received: --runner",
        ),
        ({"data": None, "dataset": "movielens/100k-ratings"}, r"'beam' reads files.*Received: ingest\.dataset\."),
        ({"data": None}, r"'beam' reads files.*Received: ingest\.simulate\."),
    ],
)
def test_what_beam_does_not_do_is_refused_before_anything_is_read(more: dict[str, Any], expected: str, log: Path) -> None:
    with pytest.raises(ConfigError, match=expected):
        ingest(IngestConfig(**{"data": (log,), "runner": "beam", **more}))


def test_a_table_in_memory_and_an_address_without_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'beam' reads files.*Received: DataFrame\."):
        from_frame(pd.DataFrame({"user_id": [1], "item_id": [2]}), IngestConfig(runner="beam"))
    with pytest.raises(DataError, match=r"shelf://\S*/none\.csv matches no file\. Expected the address of a file"):
        ingest(f"shelf:/{tmp_path}/none.csv", runner="beam")
    with pytest.raises(DataError, match=r"nowhere://logs/a\.csv cannot be listed: "):
        ingest("nowhere://logs/a.csv", runner="beam")


def test_without_beam_the_way_to_it_is_told(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tfadt.data.beam_log", raising=False)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ConfigError, match=r"ingest\.runner = 'beam' needs Apache Beam: pip install 'tfadt\[beam\]'"):
        ingest(str(log), runner="beam")
