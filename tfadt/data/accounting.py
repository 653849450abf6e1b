"""The account of every row: rows in = rows kept + rows rejected, with reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


class RowAccount:
    """Counts the rows of one source that came in and, by reason, those that were rejected; sees the range of numbers."""

    def __init__(self, rows_in: int, rejected: Mapping[str, int]) -> None:
        self.rows_in = rows_in
        self.rejected: Counter[str] = Counter(rejected)
        self.ranges: dict[str, list[float]] = {}

    def observe(self, name: str, values: np.ndarray) -> None:
        """Keeps the smallest and the largest of the numbers that were kept of a column."""
        if len(values):
            self.ranges[name] = [float(values.min()), float(values.max())]

    def keep(self, frame: pd.DataFrame, good: np.ndarray, reason: str) -> pd.DataFrame:
        """Returns the good rows of `frame`, counting the others under `reason`."""
        bad = len(frame) - int(np.count_nonzero(good))
        if not bad:
            return frame
        self.rejected[reason] += bad
        return frame[good]

    def summary(self) -> dict[str, Any]:
        """Returns rows in, rejected, and the ranges of the numbers in them if there are any, for the manifest."""
        ranges = {"ranges": self.ranges} if self.ranges else {}
        return {"in": self.rows_in, "rejected": dict(sorted(self.rejected.items())), **ranges}


def balance(accounts: list[RowAccount], kept: dict[str, int]) -> dict[str, Any]:
    """Returns the account of all sources together.

    Args:
        accounts: One a source.
        kept: Rows kept, by split.

    Raises:
        RuntimeError: If it does not add up, which would be a defect of ours and a silent loss of rows.
    """
    rows_in = sum(account.rows_in for account in accounts)
    rejected: Counter[str] = sum((account.rejected for account in accounts), Counter())
    if rows_in != sum(kept.values()) + sum(rejected.values()):
        raise RuntimeError(f"Rows lost: {rows_in} in, {kept} kept, {dict(rejected)} rejected.")
    return {"in": rows_in, "kept": kept, "rejected": dict(sorted(rejected.items()))}
