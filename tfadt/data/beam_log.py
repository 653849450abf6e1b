"""A log that the workers of Apache Beam read. Importing this module imports Beam.

A file is read by one worker, as `LocalLog` reads it: by the same statements, in a database of its own. What files have to
agree upon (the rule of feedback, whether all ids are integers) is told to the workers as a side input. Rows are grouped by a
digest of their user, and each group is merged by one worker, by the statements that merge a log on one machine. The merged
pairs come back through a folder that all workers share.
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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from tfadt import errors
from tfadt.config.ingest import IngestConfig
from tfadt.data.cleaning import LOW_OF, TIME_OF, Account, Rows, Rules, clean, examine, key_of
from tfadt.data.database import Database
from tfadt.data.files import File, remote_address
from tfadt.data.log import Log, Progress, most_common, rules_of
from tfadt.data.pairs import account_duplicates, all_integers, find_duplicates, merge_rows, part_of
from tfadt.data.readers import read_file
from tfadt.data.rejected import first_removed, samples_of, samples_of_rows
from tfadt.data.tables import Source, Table
from tfadt.data.values import Value
from tfadt.errors import ConfigError, DataError, TfadtError, WorkerError

_LOCAL_RUNNERS = ("direct", "fnapi", "prism")
_AS_IT_IS = CompressionTypes.UNCOMPRESSED
_MOST_GROUPS = 1000
"""Rows come in as many groups as there are files, so that a group is about as large as a file, but in no more than these."""
_BATCH_ROWS = 1 << 17
_ACCOUNTS = "accounts"
# Arrow has no integers of 128 bits: keys travel as their two halves.
_HALVES = f"{TIME_OF} AS time, {LOW_OF} AS low"
_KEY = f"{key_of('time', 'low')} AS key"
_MERGED = {
    "pairs": (f"part, user, item, {_HALVES}, n, untimed", f"part, user, item, {_KEY}, n, untimed"),
    "removed": (f"{_HALVES}, why", f"{_KEY}, why"),
    "duplicates": ("place", "place"),
}
"""The tables of `merge_rows`: what workers select of them, and what is selected of that."""

Result = dict[str, Any]
"""What a worker says in the end, as JSON has it."""


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


def match(address: str) -> list[str]:
    """Returns the addresses of the files that a pattern stands for.

    Raises:
        DataError: If they cannot be listed.
    """
    try:
        return [found.path for found in FileSystems.match([address])[0].metadata_list]
    except Exception as error:  # File systems raise errors of their own.
        raise DataError(f"{address} cannot be listed: {error}") from error


class BeamLog(Log):
    """A log that the workers of Apache Beam read. A context, at whose end nothing is left of what they wrote.

    Args:
        files: The files.
        config: Settings; `runner_options` are Beam's.
        say: Called with one line at each step.
        database: Takes the merged pairs.

    Raises:
        ConfigError: If settings contradict each other, or Beam does not know an option.
        DataError: If a file cannot be used.
        OutOfMemoryError: If a file, or a group of pairs, needs more memory and disk than a worker has.
        WorkerError: If the workers did not come to an end.
    """

    def __init__(self, files: Sequence[File], config: IngestConfig, say: Progress, database: Database) -> None:
        if config.rejected is not None:
            self.write_rejected(config.rejected)  # Refused before anything is read.
        self._inputs = [_input(number, file) for number, file in enumerate(files)]
        self._config, self._database, self._is_merged = config, database, False
        self._options, shared = _options(config.runner_options)
        self._folder = FileSystems.join(shared or str(database.workspace), f"tfadt-ingest-{uuid.uuid4().hex}")
        try:
            FileSystems.mkdirs(self._folder)
        except (ValueError, OSError) as error:
            raise ConfigError(f"ingest.runner_options: --temp_location={shared} cannot be written: {error}") from error
        try:
            runner = self._options.view_as(StandardOptions).runner or "DirectRunner"
            say(f"Reading {len(files):,} files with Apache Beam ({runner})")
            self._read()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        left = [self._folder]
        if not FileSystems.get_filesystem(self._folder).has_dirs():
            left = match(FileSystems.join(self._folder, "**"))
        if left:
            FileSystems.delete(left)

    def merge(self) -> None:
        """Takes the pairs that the workers have merged."""
        for name, (_, select) in _MERGED.items():
            for group in self._groups:
                with FileSystems.open(group[name]) as stream, pa.ipc.open_stream(stream) as reader:
                    _fill(name, select, reader, self._database)
        account_duplicates(self.accounts, self._database)
        self._is_merged = True

    def most_common(self) -> list[tuple[float, float]]:
        """Has the workers count the values of each file."""
        found = self._each("Count", _count, self._inputs, self.rules)
        counts: Counter[float] = Counter()
        for result in found:
            counts.update(dict(result["counts"]))
        self._database.register("counts", pa.table({"number": list(counts.keys()), "n": list(counts.values())}))
        return most_common("FROM counts", self._database)

    def add_samples(self) -> None:
        """Has the workers look up the rows that were removed later; the others came with the accounts."""
        removed = first_removed(self._database) if self._is_merged else {}
        if removed:
            wanted = [(self._inputs[number], lines) for number, lines in sorted(removed.items())]
            for result in self._each("Show", _show, wanted):
                self.accounts[result["number"]].samples |= result["samples"]

    def write_rejected(self, path: Path) -> None:
        """Raises ConfigError: which rows of a file were kept is not known where it was read."""
        raise ConfigError(
            "ingest.rejected is written by ingest.runner = 'duckdb' alone. Expected none with 'beam', whose account has the "
            f"first rejected rows of each file. Received: {path}."
        )

    def _read(self) -> None:
        config, folder, groups = self._config, self._folder, min(len(self._inputs), _MOST_GROUPS)

        def steps(pipeline: beam.Pipeline) -> beam.PCollection:
            inputs = pipeline | "Files" >> beam.Create(self._inputs)
            sources = inputs | "Look" >> beam.Map(_look, config)
            rules = sources | "All sources" >> _together() | "Rules" >> beam.Map(_rules, config)
            rows, accounts = inputs | "Read" >> beam.FlatMap(_read, beam.pvalue.AsSingleton(rules), groups).with_outputs(
                _ACCOUNTS, main="rows"
            )
            kinds = accounts | "All accounts" >> _together() | "Kinds" >> beam.Map(_kinds)
            grouped = rows | "Group" >> beam.GroupByKey()
            merged = grouped | "Merge" >> beam.FlatMap(_merge, beam.pvalue.AsSingleton(kinds), folder, config.memory_limit)
            return (sources, accounts, merged) | beam.Flatten()

        results = self._run(steps)
        self.sources = [_source(result["source"]) for result in _of("source", results)]
        self.rules = rules_of(self.sources, config)
        self.accounts = [_account(result["account"]) for result in _of("account", results)]
        self._groups = [result["group"] for result in results if "group" in result]

    def _each(self, name: str, function: Callable[..., Result], elements: Sequence[Any], *arguments: Any) -> list[Result]:
        """Returns what a function gives of each of the elements, on the workers."""

        def steps(pipeline: beam.Pipeline) -> beam.PCollection:
            return pipeline | "Files" >> beam.Create(elements) | name >> beam.Map(function, self._config, *arguments)

        return self._run(steps)

    def _run(self, steps: Callable[[beam.Pipeline], beam.PCollection]) -> list[Result]:
        """Returns the results of a pipeline; raises the error of the first file that has one."""
        path = FileSystems.join(self._folder, f"results-{uuid.uuid4().hex}")
        pipeline = beam.Pipeline(options=self._options)
        _ = steps(pipeline) | "All results" >> _together() | "Results" >> beam.Map(_save, path)
        try:
            state = pipeline.run().wait_until_finish()
        except Exception as error:  # Whatever a worker raises, as each runner tells it.
            raise WorkerError(f"The Beam pipeline failed, and nothing was written: {error}") from error
        if state != beam.runners.runner.PipelineState.DONE:
            raise WorkerError(
                f"The Beam pipeline ended, and nothing was written. Expected the state DONE. Received: {state}."
            )
        with FileSystems.open(path) as stream:
            results: list[Result] = json.load(stream)
        failed = sorted((result for result in results if "error" in result), key=lambda result: result["number"])
        if failed:
            raise getattr(errors, failed[0]["error"])(failed[0]["message"])
        return results


def _together() -> beam.PTransform:
    """Makes one list of what there is, and nothing of nothing."""
    return beam.combiners.ToList().without_defaults()


def _options(flags: Sequence[str]) -> tuple[PipelineOptions, str | None]:
    """Returns the options, and the folder that all workers share, None on one machine."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(list(flags))
            runner, shared = options.view_as(StandardOptions).runner, options.view_as(GoogleCloudOptions).temp_location
    except SystemExit as error:  # As argparse refuses an option.
        reason = said.getvalue().strip().splitlines()[-1].partition("error: ")[2]
        raise ConfigError(f"ingest.runner_options: {reason}") from error
    try:
        beam.Pipeline(options=options)
    except (ValueError, ImportError, AttributeError) as error:
        raise ConfigError(f"ingest.runner_options: {error}") from error
    if shared is None and (runner or "direct").lower().removesuffix("runner") not in _LOCAL_RUNNERS:
        raise ConfigError(
            f"ingest.runner_options expects --temp_location with {runner}: a folder that it and all workers share. "
            f"Received: {' '.join(flags)}."
        )
    return options, shared


def _input(number: int, file: File) -> Input:
    address = remote_address(file.path)
    return Input(number, file, address or str(file.path.absolute()), address or str(file.path))


def _of(name: str, results: Sequence[Result]) -> list[Result]:
    """Returns the results that have a name, in the order of the files."""
    return sorted((result for result in results if name in result), key=lambda result: result["number"])


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


def _look(one: Input, config: IngestConfig) -> Result:
    try:
        with _opened(one, config) as (source, _):
            table = asdict(replace(source.table, sql="", columns={}, lines=None))
            return {
                "number": one.number,
                "source": {"table": table, "values": {name: asdict(value) for name, value in source.values.items()}},
            }
    except TfadtError as error:
        return _failure(one.number, error)


def _rules(sources: Sequence[Result], config: IngestConfig) -> Rules | None:
    """Returns what decides about the rows of all files; None where that cannot be told, as the caller will say."""
    if any("error" in source for source in sources):
        return None
    try:
        return rules_of([_source(result["source"]) for result in _of("source", sources)], config)
    except TfadtError:
        return None


def _read(one: Input, rules: Rules | None, groups: int) -> Iterator[tuple[int, bytes] | beam.pvalue.TaggedOutput]:
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
    yield beam.pvalue.TaggedOutput(_ACCOUNTS, result)


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


def _kinds(accounts: Sequence[Result]) -> Kinds | None:
    """Returns what the rows of all files have in common; None where one of them failed."""
    if any("error" in account for account in accounts):
        return None
    found = [_account(result["account"]) for result in accounts]
    return Kinds(all_integers("user", found), all_integers("item", found), any(account.untimed for account in found))


def _merge(
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
                    _fill("rows_read", select, reader, database)
            merge_rows(["FROM rows_read"], kinds.untimed, "The pairs", database)
            find_duplicates(["FROM rows_read"], database)
            # A name of its own: a worker that is believed dead may still write.
            paths = {name: FileSystems.join(folder, f"{name}-{number}-{uuid.uuid4().hex}") for name in _MERGED}
            for name, (columns, _) in _MERGED.items():
                with FileSystems.create(paths[name]) as stream:
                    batches = database.batches(f"SELECT {columns} FROM {name}", _BATCH_ROWS)
                    _write(batches.schema, batches, stream)
            yield {"group": paths}
    except TfadtError as error:
        yield _failure(number, error)


def _count(one: Input, config: IngestConfig, rules: Rules) -> Result:
    """Returns how often each value of the feedback occurs in a file."""
    try:
        with _opened(one, config) as (source, database):
            rows = clean(source, one.number, rules, database)
            select = f"SELECT number, count(*) FROM ({rows.sql}) WHERE reason IS NULL GROUP BY number"
            return {"number": one.number, "counts": database.run(select)}
    except TfadtError as error:
        return _failure(one.number, error)


def _show(wanted: tuple[Input, Mapping[str, Sequence[int]]], config: IngestConfig) -> Result:
    """Returns number and text of lines of a file, by reason."""
    one, lines = wanted
    try:
        with _opened(one, config) as (source, database):
            return {"number": one.number, "samples": samples_of(source, lines, database)}
    except TfadtError as error:
        return _failure(one.number, error)


def _fill(name: str, select: str, batches: pa.RecordBatchReader, database: Database) -> None:
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


def _save(results: Sequence[Result], path: str) -> None:
    with FileSystems.create(path) as stream:
        stream.write(json.dumps(results).encode())


def _source(result: Result) -> Source:
    """Returns a source as far as it is known elsewhere than where it is read."""
    return Source(Table(**result["table"]), {name: Value(**value) for name, value in result["values"].items()})


def _account(result: Result) -> Account:
    return Account(**{**result, "rejected": Counter(result["rejected"])})
