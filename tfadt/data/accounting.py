"""The account of every row: rows in = rows kept + rows rejected, with reasons."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd


class RowAccount:
    """Counts the rows that came in and, by reason, those that were rejected."""

    def __init__(self) -> None:
        self.rows_in = 0
        self.rejected: Counter[str] = Counter()

    def reject(self, reason: str, count: int) -> None:
        """Adds `count` rejected rows."""
        if count:
            self.rejected[reason] += int(count)

    def keep(self, frame: pd.DataFrame, good: np.ndarray, reason: str) -> pd.DataFrame:
        """Returns the good rows of `frame`, counting the others under `reason`."""
        bad = len(frame) - int(np.count_nonzero(good))
        if not bad:
            return frame
        self.reject(reason, bad)
        return frame[good]

    def summary(self, kept: dict[str, int]) -> dict[str, Any]:
        """Returns the account for the manifest.

        Raises:
            RuntimeError: If it does not add up, which would be a defect of ours and a silent loss of rows.
        """
        if self.rows_in != sum(kept.values()) + sum(self.rejected.values()):
            raise RuntimeError(f"Rows lost: {self.rows_in} in, {kept} kept, {dict(self.rejected)} rejected.")
        return {"in": self.rows_in, "kept": kept, "rejected": dict(sorted(self.rejected.items()))}
