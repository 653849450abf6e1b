"""Batches of lines as a table of DuckDB, so that the SQL which reads whole files reads them too."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import duckdb
import pyarrow as pa

from tfadt.data.cleaning import Account
from tfadt.data.lines import CONTROL, NOT_TEXT
from tfadt.datasets.files import FileRange, read_batches

LINES = (
    f"SELECT __line, __text, CASE WHEN __text IS NULL THEN '{NOT_TEXT.format(encoding='utf-8')}' "
    f"WHEN contains(__text, chr(0)) THEN '{CONTROL}' END AS __defect FROM lines"
)
"""A SELECT of `__line` (from 1), `__text` (NULL where it is no text) and `__defect` of the table `lines`, a batch."""


def good_rows(
    part: FileRange, sql: str, account: Account, tables: Mapping[str, pa.Table] = MappingProxyType({})
) -> Iterator[tuple[int, list[Any]]]:
    """Yields the position of its batch, and the values, of each good row of a range.

    Args:
        part: The range.
        sql: A SELECT of the reason for which a row is rejected (NULL for a good row) and its values, made of `LINES`.
        account: Counts rows in and rejected as they are read.
        tables: Other tables that `sql` reads.
    """
    with _database().cursor() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        for position, lines in read_batches(part):
            table = _as_table(lines)
            account.rows_in += len(table)
            connection.register("lines", table)
            for reason, *values in connection.execute(sql).fetchall():
                if reason is None:
                    yield position, values
                else:
                    account.rejected[reason] += 1


def run(sql: str) -> list[tuple[Any, ...]]:
    """Returns the rows that a statement gives which reads no table."""
    with _database().cursor() as connection:
        return connection.execute(sql).fetchall()


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    """Returns the process's database, which reads what it is given in memory and nothing else."""
    database = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    database.execute("SET TimeZone = 'UTC'; SET temp_directory = ''; SET enable_external_access = false")
    return database


def _as_table(lines: Sequence[bytes]) -> pa.Table:
    # A carriage return ends a line as well.
    texts = [decoded(line) for line in b"".join(lines).splitlines() if line.strip()]
    return pa.table({"__line": pa.array(range(1, len(texts) + 1), pa.int64()), "__text": pa.array(texts, pa.string())})


def decoded(line: bytes) -> str | None:
    """Returns the text of a line, None if it is none."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None
