"""DuckDB over a workspace: a folder of its own, removed at the end and, where a process was killed, by the next one."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa

from tfadt.atomic import temporary_folder
from tfadt.errors import DataError, OutOfMemoryError
from tfadt.memory import available_memory

_PREFIX = ".tfadt-ingest."
_LEAST_BYTES = 1 << 28
_LARGE_BYTES = 1 << 26
_FACTORS = {".gz": 1000, ".zst": 1000}
"""How much larger a file can be inside."""


def text(value: str) -> str:
    """Returns a text as SQL has it."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """Returns a name as SQL has it."""
    return '"' + value.replace('"', '""') + '"'


class Database:
    """A DuckDB database that reads the files it is given and nothing else.

    Files are read through links with plain names, so that no file name is ever taken for a pattern or for SQL; extensions
    are never loaded from elsewhere.

    Args:
        files: All files that will be read.
        memory_limit: As DuckDB has it (`4GB`); None for half of what is free. What exceeds it goes to the workspace.
        folder: Where the workspace is made; None for the system's temporary folder.

    Raises:
        DataError: If the workspace cannot be written.
    """

    def __init__(self, files: Sequence[Path], memory_limit: str | None = None, folder: Path | None = None) -> None:
        parent = Path(folder or tempfile.gettempdir())
        self._workspace = temporary_folder(parent, _PREFIX)
        try:
            self.workspace = self._workspace.__enter__().resolve()
        except OSError as error:
            raise DataError(f"{parent} cannot be written: {error.strerror}.") from error
        self._links: dict[Path, str] = {}
        for number, file in enumerate(dict.fromkeys(files)):
            link = self.workspace / f"file{number}"
            link.symlink_to(file.resolve())
            self._links[file] = str(link)
        free = available_memory()
        limit = memory_limit or (f"{max(free // 2, _LEAST_BYTES)}B" if free else "1GB")
        self._limit = limit
        # What fits into memory is not written to the disk at every step.
        is_large = sum(file.stat().st_size * _FACTORS.get(file.suffix.lower(), 1) for file in self._links) > _LARGE_BYTES
        self._connection = duckdb.connect(
            str(self.workspace / "database") if is_large else ":memory:",
            config={
                "memory_limit": limit,
                "temp_directory": str(self.workspace / "spilled"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        allowed = ", ".join(text(str(file.resolve())) for file in self._links)
        self._connection.execute("SET TimeZone = 'UTC';")
        # Where there is no bar it is not turned off: in a notebook without ipywidgets DuckDB refuses that.
        (bar,) = self._connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()[0]
        if bar:
            self._connection.execute("SET enable_progress_bar = false;")
        self._connection.execute(
            f"SET allowed_paths = [{allowed}]; SET allowed_directories = [{text(str(self.workspace))}];"
        )
        self._connection.execute("SET enable_external_access = false; SET lock_configuration = true;")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._workspace.__exit__(None, None, None)

    def close(self) -> None:
        """Gives the memory back; files in the workspace stay until the end."""
        self._connection.close()

    def link(self, file: Path) -> str:
        """Returns the plain name, as SQL has it, under which a file is read."""
        return text(self._links[file])

    def put(self, file: Path, content: bytes) -> None:
        """Has `content` read in the place of a file."""
        copy = self.workspace / f"copy{len(self._links)}_{Path(self._links[file]).name}"
        copy.write_bytes(content)
        self._links[file] = str(copy)

    def register(self, name: str, table: pa.Table) -> None:
        """Makes a table in memory readable under a name."""
        self._connection.register(name, table)

    def run(self, sql: str, what: str = "The data", failed: str = "cannot be read") -> list[tuple[Any, ...]]:
        """Returns the rows that a statement gives.

        Args:
            sql: The statement.
            what: Names what it reads, for errors.
            failed: What is said of it if that fails.

        Raises:
            DataError: If that cannot be read.
            OutOfMemoryError: If the memory limit and the disk do not suffice.
        """
        with self._translated(what, failed):
            return self._connection.execute(sql).fetchall()

    def records(self, sql: str, what: str = "The data") -> list[dict[str, Any]]:
        """Returns the rows that a statement gives, by column; raises as `run` does."""
        with self._translated(what):
            result = self._connection.execute(sql)
            columns = [column[0] for column in result.description]
            return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

    def batches(self, sql: str, rows: int) -> pa.RecordBatchReader:
        """Returns the rows that a statement gives, so many at a time; raises as `run` does."""
        with self._translated("The data"):
            return self._connection.sql(sql).to_arrow_reader(rows)

    def types(self, relation: str, what: str = "The data", failed: str = "cannot be read") -> Mapping[str, str]:
        """Returns column -> type of a relation (a name, or a call such as `read_parquet(...)`); raises as `run` does."""
        return {row[0]: row[1] for row in self.run(f"DESCRIBE SELECT * FROM {relation}", what, failed)}

    @contextmanager
    def _translated(self, what: str, failed: str = "cannot be read") -> Iterator[None]:
        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise OutOfMemoryError(
                f"{what} needs more than the memory limit of {self._limit} and the disk that it may use "
                f"({self.workspace.parent}): {_first_line(error)} ingest.memory_limit sets the limit."
            ) from error
        except duckdb.Error as error:
            message = _first_line(error)
            for file, link in self._links.items():
                message = message.replace(link, str(file))
            if re.search("gzip|zstd|zlib|compress", message, re.IGNORECASE):
                raise DataError(f"{what} is not a complete compressed file: {message}") from error
            raise DataError(f"{what} {failed}: {message}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
