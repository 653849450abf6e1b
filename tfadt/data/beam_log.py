"""A log that the workers of Apache Beam read. Importing this module imports Beam.

What they do is in `beam_workers`. Here the caller has them do it, and takes the merged pairs, which come back through a
folder that all workers share.
"""

from __future__ import annotations

import contextlib
import io
import json
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from tfadt import errors
from tfadt.config.ingest import IngestConfig
from tfadt.data import beam_workers as workers
from tfadt.data.beam_workers import Input, Result
from tfadt.data.database import Database
from tfadt.data.files import File, remote_address
from tfadt.data.log import Log, Progress, most_common, rules_of
from tfadt.data.pairs import account_duplicates
from tfadt.data.rejected import first_removed
from tfadt.errors import ConfigError, DataError, WorkerError

_LOCAL_RUNNERS = ("direct", "fnapi", "prism")
_MOST_GROUPS = 1000
"""Rows come in as many groups as there are files, so that a group is about as large as a file, but in no more than these."""


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
        for name, (_, select) in workers.MERGED.items():
            for group in self._groups:
                with FileSystems.open(group[name]) as stream, pa.ipc.open_stream(stream) as reader:
                    workers.fill(name, select, reader, self._database)
        account_duplicates(self.accounts, self._database)
        self._is_merged = True

    def most_common(self) -> list[tuple[float, float]]:
        """Has the workers count the values of each file."""
        found = self._each("Count", workers.count, self._inputs, self.rules)
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
            for result in self._each("Show", workers.show, wanted):
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
            sources = inputs | "Look" >> beam.Map(workers.look, config)
            rules = sources | "All sources" >> _together() | "Rules" >> beam.Map(workers.common_rules, config)
            rows, accounts = inputs | "Read" >> beam.FlatMap(
                workers.read, beam.pvalue.AsSingleton(rules), groups
            ).with_outputs(workers.ACCOUNTS, main="rows")
            kinds = accounts | "All accounts" >> _together() | "Kinds" >> beam.Map(workers.common_kinds)
            grouped = rows | "Group" >> beam.GroupByKey()
            merged = grouped | "Merge" >> beam.FlatMap(
                workers.merge, beam.pvalue.AsSingleton(kinds), folder, config.memory_limit
            )
            return (sources, accounts, merged) | beam.Flatten()

        results = self._run(steps)
        self.sources = [workers.source_of(result["source"]) for result in workers.in_order("source", results)]
        self.rules = rules_of(self.sources, config)
        self.accounts = [workers.account_of(result["account"]) for result in workers.in_order("account", results)]
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
        _ = steps(pipeline) | "All results" >> _together() | "Results" >> beam.Map(workers.save, path)
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
