"""JSON lines: pyarrow where the file is regular, line by line where it is not, so that broken lines are counted."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.json as pa_json

from tfadt.data.accounting import RowAccount
from tfadt.errors import DataError


def read_json_lines(content: bytes, path: Path, wanted: dict[str, str], account: RowAccount) -> pd.DataFrame:
    """Reads the wanted keys of one JSON object a line; see `readers.read_file`."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        table = pa_json.read_json(pa.BufferReader(content))
        plain = all(_is_plain(table.schema.field(name).type) for name in table.schema.names)
    except pa.ArrowException:
        plain = False
    if not plain:
        return _line_by_line(content, path, wanted, account)
    account.rows_in += table.num_rows
    names = table.schema.names
    frame = pd.DataFrame({ours: table[theirs].to_pandas() for ours, theirs in wanted.items() if theirs in names})
    frame.attrs["columns"] = names
    return frame


def _is_plain(kind: pa.DataType) -> bool:
    # pyarrow turns text that looks like a date into a timestamp, which would change ids: such files go line by line.
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_string(kind)


def _line_by_line(content: bytes, path: Path, wanted: dict[str, str], account: RowAccount) -> pd.DataFrame:
    names: dict[str, None] = {}
    values: dict[str, list[object]] = {ours: [] for ours in wanted}
    broken = rows = 0
    for line in io.BytesIO(content):
        if not line.strip():
            continue
        rows += 1
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            broken += 1
            continue
        names.update(dict.fromkeys(record))
        for ours, theirs in wanted.items():
            values[ours].append(_scalar(record.get(theirs)))
    if broken == rows:
        raise DataError(f"{path}: none of its {rows} lines is a JSON object. Expected one object a line.")
    account.rows_in += rows
    account.reject("not a JSON object", broken)
    present = {ours: column for ours, column in values.items() if wanted[ours] in names}
    frame = pd.DataFrame({ours: pd.Series(column, dtype=object) for ours, column in present.items()})
    frame.attrs["columns"] = list(names)
    return frame


def _scalar(value: object) -> object:
    """Returns numbers and text as they are, flags as numbers, and nothing for what cannot be an id or a rating."""
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, str | int | float) else None
