"""CSV and TSV, parsed by pyarrow: every value stays text, rows with a wrong number of fields are counted."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from tfadt.config.ingest import Columns
from tfadt.data.tables import ReadResult, find_columns, to_frame
from tfadt.errors import DataError

WRONG_FIELDS = "wrong number of fields"
# A record must fit into one block, so the block is far larger than any record of a log.
_BLOCK_BYTES = 1 << 24


def parse_delimited(
    content: bytes, separator: str, names: list[str] | None, quotes: bool, wanted: list[str] | None = None
) -> tuple[pa.Table, int, bool]:
    """Parses separated text, every value as text.

    Args:
        content: UTF-8 text, with or without a byte order mark.
        separator: One character.
        names: Column names; None to take them from the first line.
        quotes: Whether `"` quotes a field.
        wanted: Columns to return (default: all).

    Returns:
        The table, the number of rows with a wrong number of fields, and whether line breaks lie inside one of these
        (only a stray quote explains that).
    """
    bad_rows = 0
    stray_quote = False

    def skip(row: pa_csv.InvalidRow) -> str:
        nonlocal bad_rows, stray_quote
        bad_rows += 1
        stray_quote |= quotes and "\n" in row.text.rstrip("\r\n")
        return "skip"

    header = names or header_of(content, separator)
    table = pa_csv.read_csv(
        pa.BufferReader(content),
        # The handler is Python and counts: it must be called from one thread.
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=names),
        parse_options=pa_csv.ParseOptions(
            delimiter=separator,
            quote_char='"' if quotes else False,
            newlines_in_values=quotes,
            invalid_row_handler=skip,
        ),
        convert_options=pa_csv.ConvertOptions(
            include_columns=wanted if wanted is not None else header,
            column_types={name: pa.string() for name in header},
            strings_can_be_null=False,
        ),
    )
    return table, bad_rows, stray_quote


def header_of(content: bytes, separator: str) -> list[str]:
    """Returns the names in the first line."""
    first = pa_csv.open_csv(
        pa.BufferReader(content),
        read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=lambda row: "skip"
        ),
    )
    return list(first.schema.names)


def read_delimited(content: bytes, path: Path, separator: str, columns: Columns) -> ReadResult:
    """Reads CSV (RFC 4180 quoting) or TSV with a header; see `readers.read`."""
    content = content if content.endswith(b"\n") else content + b"\n"
    header = header_of(content, separator)
    found = find_columns(columns, header, str(path))
    table, bad_rows, stray_quote = parse_delimited(content, separator, None, quotes=True, wanted=list(found.values()))
    rows_in = table.num_rows + bad_rows
    notes = []
    if b'"' in content:
        joined = sum(1 for _ in re.finditer(rb"[^\r\n]+", content)) - 1 - rows_in
        if stray_quote or (joined > 0 and content.count(b'"') % 2):
            raise DataError(
                f'{path}: a quote (") is opened and not closed, so {joined} lines run into one record. '
                "Expected quotes in pairs."
            )
        if joined > 0:
            notes.append(f"{path.name}: {joined} line breaks lie inside quotes and are part of a value")
    rejected = {WRONG_FIELDS: bad_rows} if bad_rows else {}
    return ReadResult(to_frame(table, found), rows_in, rejected, header, notes=tuple(notes))
