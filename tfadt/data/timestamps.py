"""Times of interactions: numbers or dates, as seconds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfadt.data.accounting import RowAccount
from tfadt.data.feedback import to_number


def read_times(
    frame: pd.DataFrame, flags: np.ndarray | None, needed: bool, account: RowAccount
) -> tuple[pd.DataFrame, np.ndarray | None, np.ndarray | None]:
    """Reads the column `timestamp` as float64: numbers as they are, dates as seconds since 1970.

    Args:
        frame: The rows.
        flags: One value a row, or None.
        needed: Whether the split goes by time; rows without a readable time are then rejected. Otherwise times are only
            used where all of them can be read.
        account: Counts rejected rows.

    Returns:
        The rows, flags and times that are left; times None where they are not needed and not all readable.
    """
    column = frame["timestamp"]
    if column.dtype.kind == "M":
        seconds = (column - pd.Timestamp(0, tz=column.dt.tz)).dt.total_seconds().to_numpy(np.float64)
    else:
        seconds = to_number(column)
        if np.isnan(seconds).any() and column.dtype.kind not in "iuf":
            dates = pd.to_datetime(column.astype(object), errors="coerce", utc=True, format="ISO8601")
            as_seconds = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)
            seconds = np.where(np.isnan(seconds), as_seconds, seconds)
    readable = np.isfinite(seconds)
    if readable.all():
        return frame, flags, seconds
    if not needed:
        return frame, flags, None
    kept = account.keep(frame, readable, "timestamp missing or not a time")
    return kept, None if flags is None else flags[readable], seconds[readable]
