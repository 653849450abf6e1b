"""What the workers of Apache Beam do with a log: they look at its files, read them, merge groups of rows, count and show.

A file is read by one worker, as `LocalLog` reads it: by the same statements, in a database of its own. What files have to
agree upon (the rule of feedback, whether all ids are integers) is told to the workers as a side input. Rows are grouped by a
digest of their user, and each group is merged by one worker, by the statements that merge a log on one machine.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import socket
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tfadt.config.ingest import IngestConfig
from tfadt.data.cleaning import LOW_OF, TIME_OF, Account, Rows, Rules, clean, examine, key_of
from tfadt.data.database import Database
from tfadt.data.files import File, remote_address
from tfadt.data.log import rules_of
from tfadt.data.pairs import all_integers, find_duplicates, merge_rows, part_of
from tfadt.data.readers import read_file
from tfadt.data.rejected import samples_of, samples_of_rows
from tfadt.data.tables import Source, Table
from tfadt.data.values import Value
from tfadt.errors import DataError, TfadtError

_AS_IT_IS = CompressionTypes.UNCOMPRESSED
_BATCH_ROWS = 1 << 17
# Arrow has no integers of 128 bits: keys travel as their two halves.
_HALVES = f"{TIME_OF} AS time, {LOW_OF} AS low"
_KEY = f"{key_of('time', 'low')} AS key"
MERGED = {
    "pairs": (f"part, user, item, {_HALVES}, n, untimed", f"part, user, item, {_KEY}, n, untimed"),
    "removed": (f"{_HALVES}, why", f"{_KEY}, why"),
    "duplicates": ("place", "place"),
}
"""The tables of `merge_rows`: what workers select of them, and what is selected of that."""

Result = dict[str, Any]
"""What a worker says in the end, as JSON has it."""

ACCOUNTS = "accounts"
"""Under which name `read` yields accounts beside the rows."""


@dataclass(frozen=True)
class Input:
    """A file and its place among the files.

    Attributes:
        number: The place.
        file: The file, as it was named.
        address: Where workers find it, which may have another working directory.
        label: What errors call it.
    """

    number: int
    file: File
    address: str
    label: str


@dataclass(frozen=True)
class Kinds:
    """What all files have in common: whether all ids, of `user` and `item`, are integers; whether times are missing."""

    user: bool
    item: bool
    untimed: bool


def _failure(number: int, error: TfadtError) -> Result:
    """Returns an error as a result: raised on a worker, it would be tried again, and come back as a page of text."""
    return {"number": number, "error": type(error).__name__, "message": str(error)}


@contextlib.contextmanager
def _opened(one: Input, config: IngestConfig) -> Iterator[tuple[Source, Database]]:
    """Yields the source that a file is, and the database that reads it; a remote file is copied to the worker's disk."""
    with tempfile.TemporaryDirectory(prefix="tfadt-ingest-") as folder:
        path = Path(one.address)
        if remote_address(path):
            path = Path(folder, path.name)
            with FileSystems.open(one.address, compression_type=_AS_IT_IS) as stream, path.open("wb") as copy:
                shutil.copyfileobj(stream, copy)
        try:
            if not path.is_file():
                raise DataError(
                    f"{path} is not on the worker {socket.gethostname()}. Expected a folder that all workers share, or an "
                    "address such as gs://bucket/log/*.parquet."
                )
            with Database([path], config.memory_limit, Path(folder)) as database:
                source = read_file(replace(one.file, path=path), config, database)
                yield replace(source, table=replace(source.table, path=one.label)), database
        except TfadtError as error:
            raise type(error)(str(error).replace(str(path), one.label)) from error


def look(one: Input, config: IngestConfig) -> Result:
    """Returns the source that a file is, without its rows."""
    try:
        with _opened(one, config) as (source, _):
            table = asdict(replace(source.table, sql="", columns={}, lines=None))
            return {
                "number": one.number,
                "source": {"table": table, "values": {name: asdict(value) for name, value in source.values.items()}},
            }
    except TfadtError as error:
        return _failure(one.number, error)


def common_rules(sources: Sequence[Result], config: IngestConfig) -> Rules | None:
    """Returns what decides about the rows of all files; None where that cannot be told, as the caller will say."""
    if any("error" in source for source in sources):
        return None
    try:
        return rules_of([source_of(result["source"]) for result in in_order("source", sources)], config)
    except TfadtError:
        return None


def read(one: Input, rules: Rules | None, groups: int) -> Iterator[tuple[int, bytes] | beam.pvalue.TaggedOutput]:
    """Yields the good rows of a file, by group, and its account."""
    if rules is None:
        return
    try:
        with _opened(one, rules.config) as (source, database):
            rows = clean(source, one.number, rules, database)
            account = examine(rows, rules, database)
            if account.rejected:
                account.samples = samples_of_rows(rows, {}, database)
            yield from _by_group(rows, one.number, groups, database)
            result: Result = {"number": one.number, "account": vars(account)}
    except TfadtError as error:
        result = _failure(one.number, error)
    yield beam.pvalue.TaggedOutput(ACCOUNTS, result)


def _by_group(rows: Rows, number: int, groups: int, database: Database) -> Iterator[tuple[int, bytes]]:
    # By what text and integer ids have in common: whether 7 and 7.0 are one id is not known yet.
    user = f"coalesce(({rows.integer('user')})::VARCHAR, {rows.text('user')})"
    select = (
        f"SELECT (md5_number_lower({user}) % {groups})::INT AS place, {part_of(rows.source)} AS part, "
        f"{rows.text('user')} AS user, {rows.text('item')} AS item, {_HALVES} "
        f"FROM (SELECT user, item, {rows.key(number)} AS key FROM ({rows.sql}) WHERE reason IS NULL) ORDER BY place"
    )
    for batch in database.batches(select, _BATCH_ROWS):
        places = batch.column("place").to_numpy()
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(places)], strict=True):
            stream = io.BytesIO()
            _write(batch.schema, [batch.slice(start, end - start)], stream)
            yield int(places[start]), stream.getvalue()


def common_kinds(accounts: Sequence[Result]) -> Kinds | None:
    """Returns what the rows of all files have in common; None where one of them failed."""
    if any("error" in account for account in accounts):
        return None
    found = [account_of(result["account"]) for result in accounts]
    return Kinds(all_integers("user", found), all_integers("item", found), any(account.untimed for account in found))


def merge(
    group: tuple[int, Iterable[bytes]], kinds: Kinds | None, folder: str, memory_limit: str | None
) -> Iterator[Result]:
    """Yields where the merged pairs of a group lie."""
    if kinds is None:
        return
    number, parts = group
    ids = {ours: Value(ours, "text").as_integer if getattr(kinds, ours) else ours for ours in ("user", "item")}
    select = f"part, {ids['user']} AS user, {ids['item']} AS item, {_KEY}"
    try:
        with Database([], memory_limit) as database:
            for part in parts:
                with pa.ipc.open_stream(part) as reader:
                    fill("rows_read", select, reader, database)
            merge_rows(["FROM rows_read"], kinds.untimed, "The pairs", database)
            find_duplicates(["FROM rows_read"], database)
            # A name of its own: a worker that is believed dead may still write.
            paths = {name: FileSystems.join(folder, f"{name}-{number}-{uuid.uuid4().hex}") for name in MERGED}
            for name, (columns, _) in MERGED.items():
                with FileSystems.create(paths[name]) as stream:
                    batches = database.batches(f"SELECT {columns} FROM {name}", _BATCH_ROWS)
                    _write(batches.schema, batches, stream)
            yield {"group": paths}
    except TfadtError as error:
        yield _failure(number, error)


def count(one: Input, config: IngestConfig, rules: Rules) -> Result:
    """Returns how often each value of the feedback occurs in a file."""
    try:
        with _opened(one, config) as (source, database):
            rows = clean(source, one.number, rules, database)
            select = f"SELECT number, count(*) FROM ({rows.sql}) WHERE reason IS NULL GROUP BY number"
            return {"number": one.number, "counts": database.run(select)}
    except TfadtError as error:
        return _failure(one.number, error)


def show(wanted: tuple[Input, Mapping[str, Sequence[int]]], config: IngestConfig) -> Result:
    """Returns number and text of lines of a file, by reason."""
    one, lines = wanted
    try:
        with _opened(one, config) as (source, database):
            return {"number": one.number, "samples": samples_of(source, lines, database)}
    except TfadtError as error:
        return _failure(one.number, error)


def fill(name: str, select: str, batches: pa.RecordBatchReader, database: Database) -> None:
    """Puts batches into a table, which is made if it is not there."""
    database.register("batch", batches.schema.empty_table())
    database.run(f"CREATE TABLE IF NOT EXISTS {name} AS SELECT {select} FROM batch")
    for batch in batches:
        database.register("batch", pa.Table.from_batches([batch]))
        database.run(f"INSERT INTO {name} SELECT {select} FROM batch")


def _write(schema: pa.Schema, batches: Iterable[pa.RecordBatch], stream: Any) -> None:
    with pa.ipc.new_stream(stream, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for batch in batches:
            writer.write_batch(batch)


def save(results: Sequence[Result], path: str) -> None:
    """Writes what all workers said to where the caller reads it."""
    with FileSystems.create(path) as stream:
        stream.write(json.dumps(results).encode())


def source_of(result: Result) -> Source:
    """Returns a source as far as it is known elsewhere than where it is read."""
    return Source(Table(**result["table"]), {name: Value(**value) for name, value in result["values"].items()})


def account_of(result: Result) -> Account:
    """Returns the account of a file."""
    return Account(**{**result, "rejected": Counter(result["rejected"])})


def in_order(name: str, results: Sequence[Result]) -> list[Result]:
    """Returns the results that have a name, in the order of the files."""
    return sorted((result for result in results if name in result), key=lambda result: result["number"])
