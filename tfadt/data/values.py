"""Columns as they were read -> ids, numbers and times; work is done once a distinct value, not once a row."""

from __future__ import annotations

import datetime
import math
import re
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from tfadt.errors import DataError

# How a missing value is written in text, by pandas, R, SQL and JSON.
MISSING = frozenset({"", "nan", "NaN", "NAN", "NA", "<NA>", "null", "NULL", "None"})
_VALUES = (str, int, float, np.integer, np.floating, np.bool_, Decimal, datetime.date, datetime.time)
_INTEGER = re.compile(r"(0|-?[1-9][0-9]{0,18})(\.0)?")


def factorize(column: pd.Series, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns int64 codes (-1: missing) and the distinct values, object `[m]`, text only where a value is text.

    Raises:
        DataError: If a value is neither text nor a number nor a date.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    try:
        codes, distinct = pd.factorize(column)
    except TypeError as error:
        raise DataError(f"Column '{name}' expects text, numbers or dates. Received: {error}.") from error
    values = np.asarray(distinct, dtype=object)
    strange = next((value for value in values if not isinstance(value, _VALUES)), None)
    if strange is not None:
        raise DataError(f"Column '{name}' expects text, numbers or dates. Received: {type(strange).__name__}.")
    missing = np.fromiter((isinstance(v, str) and v.strip() in MISSING for v in values), bool, len(values))
    codes = codes.astype(np.int64)
    if missing.any():
        codes[(codes >= 0) & missing[codes]] = -1
    return codes, values


def encode_ids(columns: list[pd.Series], name: str) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """Gives the ids of several tables one coding, in sorted id order.

    Ids become int64 if every id of every table is an integer written the plain way (`7`, or `7.0` as a column with
    missing values is often written); otherwise every id is text, so that `007` stays `007`.

    Args:
        columns: The id column of each table.
        name: For messages.

    Returns:
        int64 codes of each column (-1: missing), the sorted ids (int64 or object), and notes on what was converted.
    """
    if all(isinstance(column.dtype, np.dtype) and column.dtype.kind == "i" for column in columns):
        integers = np.concatenate([column.to_numpy(np.int64) for column in columns])
        codes_of_all, distinct_integers = pd.factorize(integers, sort=True)
        ends = np.cumsum([len(column) for column in columns])[:-1]
        return np.split(codes_of_all.astype(np.int64), ends), distinct_integers, []
    coded = [factorize(column, name) for column in columns]
    values = np.concatenate([distinct for _, distinct in coded])
    used = np.concatenate([np.bincount(c[c >= 0], minlength=len(d)) > 0 for c, d in coded])
    used &= np.fromiter(map(_is_id, values), bool, len(values))
    text = np.array([_id_text(value) for value in values], dtype=object)
    notes = []
    kinds = {isinstance(value, str) for value in values[used]}
    matches = [_INTEGER.fullmatch(t) for t in text[used]]
    whole = all(matches) and all(-(2**63) <= int(m[1]) < 2**63 for m in matches if m)
    if len(kinds) == 2 and not whole:
        notes.append(f"{name} holds both numbers and text: all are read as text")
    if whole:
        if any(m[2] for m, value in zip(matches, values[used], strict=True) if m and isinstance(value, str)):
            notes.append(f"{name} is written with decimals (7.0): read as integers")
        ids = np.zeros(len(values), np.int64)
        ids[used] = [int(m[1]) for m in matches if m]
    else:
        ids = text
    distinct_ids, inverse = np.unique(ids[used], return_inverse=True)
    code_of = np.full(len(values) + 1, -1, np.int64)
    code_of[:-1][used] = inverse
    offsets = np.cumsum([0] + [len(distinct) for _, distinct in coded])
    codes = [np.where(c >= 0, code_of[c + start], -1) for (c, _), start in zip(coded, offsets, strict=False)]
    return codes, distinct_ids, notes


def id_texts(column: pd.Series, name: str) -> np.ndarray:
    """Returns the ids of a column as text, object `[n]`, None where one is missing."""
    codes, values = factorize(column, name)
    return np.array([*(_id_text(value) if _is_id(value) else None for value in values), None], dtype=object)[codes]


def _is_id(value: Any) -> bool:
    """Returns whether a value can be an id: no infinity, and no text that is not Unicode (half a surrogate pair)."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    return not isinstance(value, float) or math.isfinite(value)


def _id_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def to_number(column: pd.Series, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64 values, NaN where a value is not a number, and bool `[n]`, True where it is missing."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        values = column.to_numpy(np.float64)
        return values, np.isnan(values)
    if isinstance(column.dtype, pd.StringDtype):
        missing = (column.isna() | column.str.strip().isin(MISSING)).to_numpy(bool)
        return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan), missing
    codes, distinct = factorize(column, name)
    in_range = pd.Series([_in_float_range(value) for value in distinct], dtype=object)
    numbers = np.append(pd.to_numeric(in_range, errors="coerce").to_numpy(np.float64), np.nan)
    return numbers[codes], codes < 0


def _in_float_range(value: Any) -> Any:
    """Returns infinity for an integer that no float64 holds, which pandas would stumble over."""
    return math.inf if isinstance(value, int) and abs(value) > sys.float_info.max else value


def to_time(column: pd.Series, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns times that can be ordered, int64 or float64, and bool `[n]`, True where one could be read.

    Numbers stay numbers. Dates (a date column, or text in ISO 8601) become microseconds since 1970. A column that holds
    both is read as what more of its values are.
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "i":
        return column.to_numpy(np.int64), np.ones(len(column), bool)
    if column.dtype.kind == "M":
        return _dates(column)
    numbers, missing = to_number(column, name)
    readable = np.isfinite(numbers)
    if not (readable | missing).all():
        dates, dates_readable = _dates(column.astype(str))
        if dates_readable.sum() > readable.sum():
            return dates, dates_readable
    return np.where(readable, numbers, -np.inf), readable


def _dates(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    dates = pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce")
    # A missing date is the least int64, so it comes before all others.
    return dates.astype("datetime64[us, UTC]").to_numpy("datetime64[us]").astype(np.int64), dates.notna().to_numpy()
