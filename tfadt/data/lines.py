"""Text files as lines: every line with its number and its text, also one that is no text."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
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
NOT_TEXT = "not {encoding} text"
CONTROL = "control character"
_DEFECTS = {"INVALID ENCODING": NOT_TEXT, "LINE SIZE OVER MAXIMUM": "line of more than 2 MB"}
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_CHUNK = 1 << 20
_NOTHING = "\x1c\x1d\x1e\x1f"
"""What stands in no line: DuckDB is to divide none."""


@dataclass(frozen=True)
class Lines:
    """The lines of a file, in their order.

    Attributes:
        sql: A SELECT of `__text` (VARCHAR, NULL for an empty line) and `__defect` (VARCHAR), a row a line. DuckDB numbers
            the rows of a table that is made of it by `rowid`; to number them on the way would leave one thread to read.
        count: How many there are.
        first: Number and text of the first lines that are not blank.
        with_quotes: How many lines hold a `"`.
        with_open_quotes: How many hold an odd number of them.
        broken: Number, defect and text of the lines that DuckDB did not give, and does not count.
    """

    sql: str
    count: int
    first: Sequence[tuple[int, str]]
    with_quotes: int = 0
    with_open_quotes: int = 0
    broken: Sequence[tuple[int, str, str]] = ()

    def number(self, counted: int) -> int:
        """Returns the number in the file of the line that DuckDB counts as this one."""
        number = counted
        for line, _, _ in self.broken:
            if line > number:
                break
            number += 1
        return number


def read_lines(file: File, encoding: str, database: Database) -> Lines:
    """Returns the lines of a text file.

    Raises:
        DataError: If it cannot be read, or holds nothing.
    """
    link, compression = database.link(file.path), file.compression
    head = first_text(file)
    encoding = _BOMS.get(head[:2], encoding)
    copy = database.workspace / f"lines{Path(link.strip(chr(39))).name}"
    if encoding == "utf-16" and head[:1] in (codecs.BOM_UTF16_BE[:1], b"\0"):
        # DuckDB reads the other order of bytes.
        _copy_as_utf8(file, copy)
        return _scan(text(str(copy)), "none", "utf-8", file, database)
    try:
        return _scan(link, compression, encoding, file, database)
    except DataError as error:
        if "invalid state" not in str(error):
            raise
    # DuckDB reads one kind of line break in a file; this one has several.
    _copy_with_line_feeds(file, copy)
    return _scan(text(str(copy)), "none", encoding, file, database)


def _scan(link: str, compression: str, encoding: str, file: File, database: Database) -> Lines:
    def call(mode: str) -> str:
        return (
            f"read_csv({link}, auto_detect = false, header = false, delim = '{_NOTHING}', quote = '', escape = '', "
            f"comment = '', columns = {{'t': 'VARCHAR'}}, compression = '{compression}', encoding = '{encoding}', "
            f"max_line_size = {MAX_LINE_BYTES}, {mode})"
        )

    database.run("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    odd = "(length(t) - length(replace(t, '\"', ''))) % 2 = 1"
    count, quoted, opened = database.run(
        f"SELECT count(*), count(*) FILTER (contains(t, '\"')), count(*) FILTER (contains(t, '\"') AND {odd}) "
        f"FROM {call('store_rejects = true, rejects_limit = 0')}",
        str(file.path),
    )[0]
    rejects = database.run("SELECT DISTINCT line, error_type::VARCHAR, csv_line FROM reject_errors ORDER BY line")
    scan = call("ignore_errors = true")
    first = database.run(
        f"SELECT n, t FROM (SELECT row_number() OVER () AS n, t FROM {scan}) WHERE trim(t, ' \t\r') <> '' LIMIT {_FIRST}",
        str(file.path),
    )
    if not first and not rejects:
        raise DataError(f"{file.path} is empty. Expected at least one row.")
    sql = f"SELECT t AS __text, CASE WHEN contains(t, chr(0)) THEN '{CONTROL}' END AS __defect FROM {scan}"
    broken = [
        (line, _DEFECTS.get(kind, CONTROL).format(encoding=encoding), content or "") for line, kind, content in rejects
    ]
    return Lines(sql, count, first, quoted, opened, broken)


def blank_as_none(sql: str) -> str:
    """Returns the lines with those of spaces alone empty."""
    return f"SELECT CASE WHEN trim(__text, ' \t\r') <> '' THEN __text END AS __text, __defect FROM ({sql})"


def first_text(file: File) -> bytes:
    """Returns the first bytes of a text file, without a byte order mark."""
    with _open(file) as stream:
        return _read(stream, _CHUNK, file).removeprefix(b"\xef\xbb\xbf")


def compressed(content: bytes, compression: str) -> bytes:
    """Returns bytes compressed as a file of a kind is: `none`, `gzip` or `zstd`."""
    if compression == "zstd":
        return bytes(pa.compress(content, "zstd", asbytes=True))
    return gzip.compress(content) if compression == "gzip" else content


def _copy_with_line_feeds(file: File, copy: Path) -> None:
    with _open(file) as source, copy.open("wb") as target:
        after_return = False
        while chunk := _read(source, _CHUNK, file):
            if after_return and chunk.startswith(b"\n"):
                chunk = chunk[1:]
            after_return = chunk.endswith(b"\r")
            target.write(chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def _copy_as_utf8(file: File, copy: Path) -> None:
    with _open(file) as source, copy.open("w", encoding="utf-8", newline="") as target:
        decoder = codecs.getincrementaldecoder("utf-16-be")()
        try:
            while chunk := _read(source, _CHUNK, file):
                target.write(decoder.decode(chunk))
            target.write(decoder.decode(b"", final=True))
        except UnicodeError as error:
            raise DataError(f"{file.path} is not UTF-16 text: {error}.") from error


def _open(file: File) -> IO[bytes]:
    if file.compression == "gzip":
        return io.BufferedReader(gzip.open(file.path, "rb"))
    if file.compression == "zstd":
        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(file.path)), "zstd"))
    return file.path.open("rb")


def _read(stream: IO[bytes], size: int, file: File) -> bytes:
    try:
        return stream.read(size)
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise DataError(f"{file.path} is not a complete {file.compression} file: {error}.") from error
