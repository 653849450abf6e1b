"""JSON lines: pyarrow where the file is regular, line by line where it is not, so that broken lines are counted."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.json as pa_json

from tfadt.config.ingest import Columns
from tfadt.data.tables import ALTERNATIVES, ReadResult, find_columns, to_frame
from tfadt.errors import DataError

BROKEN = "not a JSON object"
# pyarrow turns text that looks like a date into a timestamp and integers beyond 64 bits into floats, which would change
# or merge ids: files with other types than these go line by line.
_EXACT = (pa.int64(), pa.string())
_PLAIN = (*_EXACT, pa.float64(), pa.bool_())


def read_json_lines(content: bytes, path: Path, columns: Columns) -> ReadResult:
    """Reads one JSON object a line; see `readers.read`."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    table = _parse_regular(content, columns)
    if table is None:
        return _line_by_line(content, path, columns)
    found = find_columns(columns, table.schema.names, str(path))
    return ReadResult(to_frame(table, found), table.num_rows, {}, table.schema.names)


def _parse_regular(content: bytes, columns: Columns) -> pa.Table | None:
    """Returns the table if every line is an object and every column of use has one plain type, else None."""
    try:
        table = pa_json.read_json(pa.BufferReader(content))
    except pa.ArrowException:
        return None
    lines = sum(1 for line in io.BytesIO(content) if line.strip())
    ids = {columns.user, columns.item, *ALTERNATIVES["user"], *ALTERNATIVES["item"]}
    others = {*columns.model_dump().values(), *(name for names in ALTERNATIVES.values() for name in names)} - ids
    exact = all(field.type in _EXACT for field in table.schema if field.name in ids)
    plain = all(field.type in _PLAIN for field in table.schema if field.name in others)
    return table if exact and plain and lines == table.num_rows else None


def _line_by_line(content: bytes, path: Path, columns: Columns) -> ReadResult:
    records: list[dict[str, object]] = []
    names: dict[str, None] = {}
    rows = 0
    for line in io.BytesIO(content):
        if not line.strip():
            continue
        rows += 1
        record = parse_object(line)
        if record is not None:
            names.update(dict.fromkeys(record))
            records.append(record)
    if not records:
        raise DataError(f"{path}: none of its {rows} lines is a JSON object. Expected one object a line.")
    found = find_columns(columns, names, str(path))
    broken = rows - len(records)
    return ReadResult(scalars(records, found), rows, {BROKEN: broken} if broken else {}, list(names))


def scalars(records: Sequence[Mapping[str, object]], found: Mapping[str, str]) -> pd.DataFrame:
    """Returns the columns `found` (our name -> the records') under our names; what is no single value is missing."""
    columns = {ours: [_scalar(record.get(theirs)) for record in records] for ours, theirs in found.items()}
    return pd.DataFrame({ours: pd.Series(values, dtype=object) for ours, values in columns.items()})


def parse_object(line: bytes) -> dict[str, object] | None:
    """Returns the JSON object of a line, or None if the line is something else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _scalar(value: object) -> object:
    """Returns numbers and text as they are, flags as numbers, and nothing for what cannot be an id or a rating."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        # Half of a surrogate pair is no text: it could not be written anywhere.
        return value if value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value) else None
    return value if isinstance(value, int | float) else None
