"""Parquet files and tables in memory: typed columns."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tfadt.data.database import Database
from tfadt.data.database import name as sql_name
from tfadt.data.files import File
from tfadt.data.tables import Table
from tfadt.errors import DataError

_VALUES = (str, int, float, np.integer, np.floating, np.bool_, Decimal, datetime.date, datetime.time)


def read_parquet(file: File, database: Database) -> Table:
    """Returns the rows of a Parquet file.

    Raises:
        DataError: If it cannot be read, or has no rows.
    """
    call = f"read_parquet({database.link(file.path)}"
    types = database.types(f"{call})", str(file.path), "cannot be read as parquet")
    if not database.run(f"FROM {call}) LIMIT 1", str(file.path), "cannot be read as parquet"):
        raise DataError(f"{file.path} has a header and no rows. Expected at least one row.")
    sql, columns = _selected(types, f"{call}, file_row_number = true)", "file_row_number + 1")
    return Table(file.path.name, sql, columns, list(types), "parquet", file.split, str(file.path))


def read_table(name: str, frame: Any, database: Database, split: str | None = None, format: str = "frame") -> Table:
    """Returns the rows of a table in memory.

    Args:
        name: What messages call it.
        frame: A DataFrame of pandas or polars, or a table of pyarrow.
        database: Where it becomes readable.
        split: The split that it is.
        format: What the manifest says of it.

    Raises:
        DataError: If it is something else, or has no rows.
    """
    table, notes = to_arrow(frame, name)
    if not len(table):
        raise DataError(f"{name} has no rows. Expected at least one.")
    existing = [str(column) for column in table.column_names]
    plain = table.rename_columns([f"c{n}" for n in range(len(existing))])
    plain = plain.append_column("line", pa.array(range(1, len(table) + 1), pa.int64()))
    registered = f"memory_{split or 'log'}"
    database.register(registered, plain)
    types = database.types(registered, name)
    sql, columns = _selected({column: types[column] for column in plain.column_names[:-1]}, registered, "line")
    names = {theirs: columns[f"c{n}"] for n, theirs in reversed(list(enumerate(existing)))}
    return Table(name, sql, names, existing, format, split, notes=notes)


def _selected(types: Mapping[str, str], relation: str, line: str) -> tuple[str, dict[str, tuple[str, str]]]:
    columns = {name: (f"__c{n}", kind) for n, (name, kind) in enumerate(types.items(), 1)}
    selected = ", ".join(f"{sql_name(name)} AS {column}" for name, (column, _) in columns.items())
    values = ", ".join(f"coalesce({sql_name(name)}::VARCHAR, '')" for name in list(types)[:50])
    row = f"concat_ws(',', {values}) AS __text"
    return f"SELECT {line} AS __line, {row}, NULL::VARCHAR AS __defect, {selected} FROM {relation}", columns


def to_arrow(frame: Any, name: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Returns a table of pandas, polars or pyarrow as one of pyarrow, and notes; raises as `read_table` does."""
    if isinstance(frame, pa.Table):
        return frame, ()
    if isinstance(frame, pd.DataFrame):
        # By place: a name may occur twice.
        found = [_column(frame.iloc[:, n], str(column)) for n, column in enumerate(frame.columns)]
        names = [str(column) for column in frame.columns]
        table = pa.Table.from_arrays([array for array, _ in found], names=names)
        return table, tuple(note for _, notes in found for note in notes)
    if type(frame).__module__.partition(".")[0] == "polars" and hasattr(frame, "to_arrow"):
        return frame.to_arrow(), ()
    hint = " A path goes to ingest(path)." if isinstance(frame, str) or hasattr(frame, "__fspath__") else ""
    hint = hint or (" A dict becomes one by pandas.DataFrame(rows)." if isinstance(frame, dict | list) else "")
    raise DataError(
        f"{name} expects a DataFrame of pandas or polars, or a table of pyarrow. Received: {type(frame).__name__}.{hint}"
    )


def _column(column: pd.Series, name: str) -> tuple[pa.Array, tuple[str, ...]]:
    """Returns one column, values of several types as text; numbers and text that mean the same are then one id."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        categories, _ = _column(pd.Series(column.cat.categories), name)
        codes = column.cat.codes.to_numpy()
        return categories.take(pa.array(np.maximum(codes, 0), mask=codes < 0)), ()
    if column.dtype != object:
        return _plain(column, name), ()
    try:
        codes, distinct = _factorize(column, name)
    except DataError as error:
        try:
            return _plain(column, name), ()  # Lists, bytes: refused where the column is used.
        except DataError:
            raise error from None
    kinds = {type(value) for value in distinct}
    if len(kinds) <= 1 and kinds <= {str, int, bool, datetime.date, datetime.datetime, pd.Timestamp}:
        try:
            return _plain(column, name), ()
        except DataError:
            pass  # integers beyond 64 bits, dates of several zones: as text
    texts = pa.array([_text(value) for value in distinct], pa.string())
    mixed = str in kinds and len(kinds) > 1 and not all(text.as_py().lstrip("-").isdigit() for text in texts)
    notes = (f"{name} holds both numbers and text: all are read as text",) if mixed else ()
    return texts.take(pa.array(np.maximum(codes, 0), mask=codes < 0)), notes


def _plain(column: pd.Series, name: str) -> pa.Array:
    try:
        array = pa.Array.from_pandas(column)
    except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        raise DataError(f"Column '{name}' expects text, numbers or dates. Received: {reason}.") from error
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _factorize(column: pd.Series, name: str) -> tuple[np.ndarray, list[Any]]:
    try:
        codes, values = pd.factorize(column)
    except TypeError as error:
        raise DataError(f"Column '{name}' expects text, numbers or dates. Received: {error}.") from error
    distinct = list(np.asarray(values, dtype=object))
    strange = next((value for value in distinct if not isinstance(value, _VALUES)), None)
    if strange is not None:
        raise DataError(f"Column '{name}' expects text, numbers or dates. Received: {type(strange).__name__}.")
    return codes, distinct


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        # Half of a surrogate pair is no text: it could not be written anywhere.
        return None if any("\ud800" <= character <= "\udfff" for character in value) else value
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return str(int(value)) if float(value).is_integer() else (None if np.isnan(value) else str(value))
    return str(value)
