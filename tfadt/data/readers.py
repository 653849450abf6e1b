"""Reader of one file: CSV, TSV, Parquet, JSON lines, the authors' format, each also gzipped."""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from tfadt.config.ingest import Columns
from tfadt.data.authors_format import SUFFIXES, read_authors_file
from tfadt.data.delimited import read_delimited
from tfadt.data.json_lines import read_json_lines
from tfadt.data.tables import ReadResult, find_columns, to_frame
from tfadt.errors import DataError

_FORMATS = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_FORMATS |= {suffix: "adt" for suffix in SUFFIXES.values()}
_BOM = b"\xef\xbb\xbf"


def read(path: Path, format: str = "auto", columns: Columns | None = None) -> ReadResult:
    """Reads the columns of use from a file, every value as it stands.

    Args:
        path: The file; gunzipped first if its name ends in `.gz`.
        format: `"csv"`, `"tsv"`, `"parquet"`, `"jsonl"`, `"adt"`, or `"auto"` to go by the file name.
        columns: Which column holds what; not used by `"adt"`, which has no header.

    Returns:
        The table with our column names, and the count of rows, also of those that cannot be parsed.

    Raises:
        DataError: If the file is missing, empty, truncated, not UTF-8, not of the format, or lacks a column.
    """
    path = Path(path)
    columns = columns or Columns()
    _check_file(path)
    kind = detect_format(path) if format == "auto" else format
    content = _content(path)
    if not content.removeprefix(_BOM).strip():
        raise DataError(f"{path} is empty. Expected at least one row.")
    if kind != "parquet":
        _check_text(content, path)
    try:
        if kind == "parquet":
            result = _read_parquet(content, path, columns)
        elif kind == "jsonl":
            result = read_json_lines(content, path, columns)
        elif kind == "adt":
            result = read_authors_file(content, path)
        else:
            result = read_delimited(content, path, "," if kind == "csv" else "\t", columns)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or ["unknown reason"])[0]
        raise DataError(f"{path} cannot be read as {kind}: {reason[:300]}") from error
    if not result.rows_in:
        raise DataError(f"{path} has a header and no rows. Expected at least one row.")
    return replace(result, format=kind)


def detect_format(path: Path) -> str:
    """Returns the format that a file name stands for.

    Raises:
        DataError: If the name says nothing; `ingest.format` then has to.
    """
    name = path.name.lower().removesuffix(".gz")
    for suffix, kind in _FORMATS.items():
        if name.endswith(suffix):
            return kind
    raise DataError(
        f"The format of {path} cannot be told from its name. Expected one of {', '.join(_FORMATS)} (or .gz of these), "
        f"or ingest.format set. Received: '{path.suffix}'."
    )


def _check_file(path: Path) -> None:
    if not os.path.exists(path):
        raise DataError(f"{path} does not exist.")
    if path.is_dir():
        raise DataError(
            f"{path} is a folder without manifest.json. Expected a file, or a folder written by ingest "
            "(of a run: its folder data)."
        )


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix.lower() == ".gz" else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a complete gzip file: {error}.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _check_text(content: bytes, path: Path) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} at offset {error.start} is not UTF-8. "
            "Convert the file, for example with `iconv -f latin1 -t utf-8`."
        ) from error
    if b"\0" in content:
        offset = content.index(b"\0")
        line = content.count(b"\n", 0, offset) + 1
        raise DataError(f"{path}, line {line}: NUL byte at offset {offset}. Expected UTF-8 text, not UTF-16 or binary.")


def _read_parquet(content: bytes, path: Path, columns: Columns) -> ReadResult:
    file = pa_parquet.ParquetFile(pa.BufferReader(content))
    existing = file.schema_arrow.names
    found = find_columns(columns, existing, str(path))
    for theirs in found.values():
        kind = file.schema_arrow.field(theirs).type
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise DataError(f"{path}: column '{theirs}' holds {kind}. Expected text, numbers or dates.")
    table = file.read(columns=list(found.values()))
    return ReadResult(to_frame(table, found), table.num_rows, {}, existing)
