"""Text files as lines: every line with its number and its text, also one that is no text."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from tfadt.data.database import Database, text
from tfadt.data.files import File
from tfadt.errors import DataError

MAX_LINE_BYTES = 2_000_000
"""A longer line is no record of a log; it is rejected, and the others are read."""
_FIRST = 20
_DEFECTS = {"INVALID ENCODING": "not text of the encoding", "LINE SIZE OVER MAXIMUM": "line of more than 2 MB"}
_CONTROL = "control character"
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Lines:
    """The lines of a file.

    Attributes:
        sql: A SELECT of `__line` (BIGINT, from 1), `__text` (VARCHAR) and `__defect` of the lines that are not empty.
        first: The first lines that are not blank.
        with_quotes: How many lines hold a `"`.
        with_open_quotes: How many hold an odd number of them.
    """

    sql: str
    first: Sequence[str]
    with_quotes: int
    with_open_quotes: int


def read_lines(file: File, encoding: str, database: Database) -> Lines:
    """Returns the lines of a text file.

    Raises:
        DataError: If it cannot be read, or holds nothing.
    """
    link, compression = database.link(file.path), file.compression
    encoding = _marked_encoding(file) or encoding
    try:
        return _scan(link, compression, encoding, file, database)
    except DataError as error:
        if "invalid state" not in str(error):
            raise
    # DuckDB reads one kind of line break in a file; this one has several.
    copy = database.workspace / f"lines{Path(link.strip(chr(39))).name}"
    _copy_with_line_feeds(file, copy)
    return _scan(text(str(copy)), "none", encoding, file, database)


def _scan(link: str, compression: str, encoding: str, file: File, database: Database) -> Lines:
    def call(mode: str) -> str:
        return (
            f"read_csv({link}, auto_detect = false, header = false, delim = '\x01', quote = '', escape = '', comment = '', "
            f"columns = {{'t': 'VARCHAR'}}, compression = '{compression}', encoding = '{encoding}', "
            f"max_line_size = {MAX_LINE_BYTES}, {mode})"
        )

    database.run("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    odd = "(length(t) - length(replace(t, '\"', ''))) % 2 = 1"
    counts = database.records(
        f"SELECT count(*) FILTER (trim(t, ' \t\r') <> '') AS filled, arg_min(t, n, {_FIRST}) FILTER (trim(t) <> '') AS first, "
        f"count(*) FILTER (contains(t, '\"')) AS quoted, count(*) FILTER (contains(t, '\"') AND {odd}) AS odd "
        f"FROM (SELECT row_number() OVER () AS n, t FROM {call('store_rejects = true, rejects_limit = 0')})",
        str(file.path),
    )[0]
    rejects = database.run("SELECT DISTINCT line, error_type::VARCHAR, csv_line FROM reject_errors ORDER BY line")
    if not counts["filled"] and not rejects:
        raise DataError(f"{file.path} is empty. Expected at least one row.")
    scan = f"SELECT row_number() OVER () AS n, t FROM {call('ignore_errors = true')}"
    nul = f"CASE WHEN contains(t, chr(0)) THEN '{_CONTROL}' END AS __defect"
    sql = f"SELECT n AS __line, t AS __text, {nul} FROM ({scan}) WHERE t IS NOT NULL"
    if rejects:
        sql = _with_rejects(scan, nul, rejects, Path(link.strip("'")).name, database)
    return Lines(sql, [line for line in counts["first"] or ()], counts["quoted"], counts["odd"])


def _with_rejects(scan: str, nul: str, rejects: list[tuple[int, str, str]], name: str, database: Database) -> str:
    """Returns the lines with those that DuckDB rejected, which it does not count in the numbers of the others."""
    table = pa.table(
        {
            "line": pa.array([line for line, _, _ in rejects], pa.int64()),
            # As many lines as were rejected up to this one are missing in the numbers from here on.
            "after": pa.array([line - n for n, (line, _, _) in enumerate(rejects, 1)], pa.int64()),
            "missing": pa.array(range(1, len(rejects) + 1), pa.int64()),
            "text": pa.array([content or "" for _, _, content in rejects], pa.string()),
            "defect": pa.array([_DEFECTS.get(kind, _CONTROL) for _, kind, _ in rejects], pa.string()),
        }
    )
    database.register(f"rejected_{name}", table)
    return (
        f"SELECT n + coalesce(missing, 0) AS __line, t AS __text, {nul} FROM ({scan}) AS s "
        f"ASOF LEFT JOIN (SELECT after, max(missing) AS missing FROM rejected_{name} GROUP BY after) AS r ON s.n > r.after "
        f"WHERE t IS NOT NULL UNION ALL SELECT line, text, defect FROM rejected_{name}"
    )


def _marked_encoding(file: File) -> str | None:
    """Returns the encoding that the first bytes of a file tell, if they do."""
    with _open(file) as stream:
        return _BOMS.get(_read(stream, 2, file))


def _copy_with_line_feeds(file: File, copy: Path) -> None:
    with _open(file) as source, copy.open("wb") as target:
        after_return = False
        while chunk := _read(source, _CHUNK, file):
            if after_return and chunk.startswith(b"\n"):
                chunk = chunk[1:]
            after_return = chunk.endswith(b"\r")
            target.write(chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def _open(file: File) -> IO[bytes]:
    if file.compression == "gzip":
        return gzip.open(file.path, "rb")
    if file.compression == "zstd":
        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(file.path)), "zstd"))
    return file.path.open("rb")


def _read(stream: IO[bytes], size: int, file: File) -> bytes:
    try:
        return stream.read(size)
    except (OSError, EOFError, pa.ArrowException) as error:
        raise DataError(f"{file.path} is not a complete {file.compression} file: {error}.") from error
