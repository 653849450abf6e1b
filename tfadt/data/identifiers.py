"""External ids of any kind as codes: integers stay integers, everything else is text."""

from __future__ import annotations

import numpy as np
import pandas as pd

_INTEGER = r"0|-?[1-9][0-9]{0,17}"


def encode_ids(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Gives each distinct id a code.

    Ids that are all integers, or text that is written exactly as an integer is ("7", not "07"), become int64; otherwise all
    are text, so that 1 and "1" are the same id. Whole numbers in a float column (pandas makes one where a value is missing)
    are integers.

    Args:
        column: Ids of any one kind, or mixed.

    Returns:
        `(codes, ids)`: int64 `[n]`, -1 where the id is missing (null, NaN or empty text), and the distinct ids in
        ascending order, int64 or object (str).
    """
    if column.dtype.kind in "iu" and column.dtype != np.uint64:
        codes, distinct = pd.factorize(column.to_numpy(np.int64), sort=True)
        return codes.astype(np.int64), np.asarray(distinct, np.int64)
    codes, distinct = pd.factorize(column, use_na_sentinel=True)
    text = pd.Series([_as_text(value) for value in distinct], dtype=object)
    missing = (text == "").to_numpy(bool)
    whole = text[~missing]
    integers = bool(len(whole)) and bool(whole.str.fullmatch(_INTEGER).all())
    final = whole.astype(np.int64) if integers else whole
    merged, ids = pd.factorize(final.to_numpy(), sort=True)
    recode = np.full(len(text) + 1, -1, np.int64)
    recode[np.flatnonzero(~missing)] = merged
    return recode[codes], np.asarray(ids, np.int64 if integers else object)


def _as_text(value: object) -> str:
    if isinstance(value, float | np.floating):
        return str(int(value)) if np.isfinite(value) and value == int(value) else ("" if np.isnan(value) else str(value))
    return str(value)
