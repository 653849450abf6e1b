"""Readers of one file: CSV, TSV, Parquet, JSON lines, each also gzipped. pandas and pyarrow do the parsing."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from tfadt.data.accounting import RowAccount
from tfadt.data.json_lines import read_json_lines
from tfadt.errors import DataError, did_you_mean

FORMATS = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_SEPARATORS = {"\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar"}


def read_file(path: Path, file_format: str, wanted: dict[str, str], account: RowAccount) -> pd.DataFrame:
    """Reads the wanted columns of a file, every value as it stands.

    Args:
        path: The file.
        file_format: `"csv"`, `"tsv"`, `"parquet"`, `"jsonl"`, or `"auto"` to go by the file name (`.gz` is looked through).
        wanted: Our name of each column -> its name in the file. Columns that the file lacks are left out; what must be
            there is the caller's to check with `require`.
        account: Counts the rows and those that cannot be parsed.

    Returns:
        A frame with our column names, text columns as text.

    Raises:
        DataError: If the file is missing, empty, truncated, not UTF-8 or not of the format.
    """
    content = _content(path)
    kind = detect_format(path) if file_format == "auto" else file_format
    if not content.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{path} is empty. Expected a header and at least one row.")
    try:
        if kind == "parquet":
            return _read_parquet(content, path, wanted, account)
        if kind == "jsonl":
            _check_utf8(content, path)
            return read_json_lines(content, path, wanted, account)
        return _read_delimited(content, path, "," if kind == "csv" else "\t", wanted, account)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        _check_utf8(content, path)
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as {kind}: {reason}") from error


def detect_format(path: Path) -> str:
    """Returns the format that a file name stands for.

    Raises:
        DataError: If the name says nothing; `ingest.format` then has to.
    """
    suffixes = [s.lower() for s in path.suffixes]
    suffix = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else (suffixes or [""])[-1]
    if suffix not in FORMATS:
        raise DataError(
            f"Cannot tell the format of {path} from its name. Expected one of {', '.join(FORMATS)} (or .gz of these), or "
            f"the format set with --format. Received: '{suffix}'."
        )
    return FORMATS[suffix]


def require(frame: pd.DataFrame, name: str, column: str, source: str, existing: list[str]) -> None:
    """Raises DataError, naming what exists, unless the frame has our column `name` (called `column` in the input)."""
    if name in frame.columns:
        return
    hint = did_you_mean(column, existing)
    if len(existing) == 1:
        found = next((text for sign, text in _SEPARATORS.items() if sign in existing[0]), None)
        hint = f" Is the separator {found}?" if found else " Is the separator right?"
    listed = ", ".join(existing[:20]) + (", ..." if len(existing) > 20 else "")
    raise DataError(f"{source} has no column '{column}' ({name}). It has: {listed}.{hint}")


def _content(path: Path) -> bytes:
    if not path.exists():
        raise DataError(f"{path} does not exist.")
    if path.is_dir():
        raise DataError(f"{path} is a folder. Expected a file, or a folder written by `tfadt ingest`.")
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix.lower() == ".gz" else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a complete gzip file: {error}.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _check_utf8(content: bytes, path: Path) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} at offset {error.start} is not UTF-8. Expected UTF-8; "
            "convert the file, for example with `iconv -f latin1 -t utf-8`."
        ) from error


def _read_delimited(content: bytes, path: Path, separator: str, wanted: dict[str, str], account: RowAccount) -> pd.DataFrame:
    bad_rows = 0

    def skip(row: pa_csv.InvalidRow) -> str:
        nonlocal bad_rows
        if "\n" in row.text.rstrip("\r\n"):
            raise DataError(
                f'{path}: a quote (") is opened and not closed, so a record of {row.actual_columns} fields runs over '
                f"several lines. Expected {row.expected_columns} fields a line."
            )
        bad_rows += 1
        return "skip"

    header = pa_csv.open_csv(
        pa.BufferReader(content), parse_options=pa_csv.ParseOptions(delimiter=separator, invalid_row_handler=skip)
    ).schema.names
    bad_rows = 0
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the header names a column twice: {', '.join(twice)}.")
    chosen = {ours: theirs for ours, theirs in wanted.items() if theirs in header}
    table = pa_csv.read_csv(
        pa.BufferReader(content),
        # Python's handler is called from one thread only where parsing is serial.
        read_options=pa_csv.ReadOptions(use_threads=False),
        parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pa_csv.ConvertOptions(
            include_columns=list(chosen.values()),
            column_types={theirs: pa.string() for theirs in chosen.values()},
            strings_can_be_null=False,
        ),
    )
    account.rows_in += table.num_rows + bad_rows
    account.reject("wrong number of fields", bad_rows)
    frame = pd.DataFrame({ours: table[theirs].to_pandas(types_mapper=_text_type) for ours, theirs in chosen.items()})
    frame.attrs["columns"] = header
    return frame


def _read_parquet(content: bytes, path: Path, wanted: dict[str, str], account: RowAccount) -> pd.DataFrame:
    file = pa_parquet.ParquetFile(io.BytesIO(content))
    header = file.schema_arrow.names
    chosen = {ours: theirs for ours, theirs in wanted.items() if theirs in header}
    table = file.read(columns=list(chosen.values()))
    account.rows_in += file.metadata.num_rows
    columns = {}
    for ours, theirs in chosen.items():
        column = table[theirs]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            raise DataError(f"{path}: column '{theirs}' holds {column.type}. Expected text or numbers.")
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        columns[ours] = column.to_pandas(types_mapper=_text_type)
    frame = pd.DataFrame(columns)
    frame.attrs["columns"] = header
    return frame


def _text_type(kind: pa.DataType) -> pd.StringDtype[Any] | None:
    """Keeps text in Arrow: a column of Python strings takes ten times the memory and time."""
    return pd.StringDtype("pyarrow") if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None
