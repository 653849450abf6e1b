"""Which interactions are false positives: a rating or a dwell time below a threshold, or a given flag."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tfadt.config import Feedback
from tfadt.data.accounting import RowAccount

RULES = ("false_positive", "rating", "dwell_time")
_FLAGS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0}


def choose_rule(config: Feedback, columns: pd.Index) -> str:
    """Returns the rule that applies: the given one, or with `auto` the first that there is a column for, or `"none"`."""
    if config.rule != "auto":
        return config.rule
    return next((rule for rule in RULES if rule in columns), "none")


def apply_rule(
    frame: pd.DataFrame, rule: str, config: Feedback, account: RowAccount, prefix: str = ""
) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Tells the false positives of a frame, rejecting rows whose feedback cannot be read.

    Args:
        frame: Rows, with the rule's column.
        rule: What `choose_rule` returned.
        config: Thresholds.
        account: Counts rejected rows.
        prefix: Put before the reasons.

    Returns:
        The rows that are left and bool `[n]` for them; None for the rule `"none"`.
    """
    if rule == "none":
        return frame, None
    column = frame[rule]
    if rule == "false_positive":
        values = column.astype(str).str.strip().str.lower().map(_FLAGS).to_numpy(np.float64)
        reasons = [(f"{rule} not 0 or 1", ~np.isnan(values))]
    else:
        values = to_number(column)
        missing = column.isna() | (column.astype(str).str.strip() == "") if column.dtype.kind == "O" else column.isna()
        if isinstance(column.dtype, pd.StringDtype):
            missing = column.fillna("").str.strip() == ""
        reasons = [
            (f"{rule} missing", ~missing.to_numpy(bool)),
            (f"{rule} not a number", ~np.isnan(values) | missing.to_numpy(bool)),
            (f"{rule} not finite", ~np.isinf(values)),
        ]
        if rule == "dwell_time":
            reasons.append((f"{rule} negative", ~(values < 0) | np.isinf(values)))
    good = np.ones(len(frame), bool)
    for reason, passes in reasons:
        account.reject(prefix + reason, int(np.count_nonzero(good & ~passes)))
        good &= passes
    below = config.rating_below if rule == "rating" else config.dwell_time_below
    flags = values > 0.5 if rule == "false_positive" else values < below
    return frame[good], flags[good]


def to_number(column: pd.Series) -> np.ndarray:
    """Returns float64 values, NaN where a value is missing or not a number."""
    if column.dtype.kind in "iuf":
        return column.to_numpy(np.float64, na_value=np.nan)
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def describe(rule: str, config: Feedback) -> dict[str, Any]:
    """Returns the rule for the manifest and reports."""
    threshold = {"rating": config.rating_below, "dwell_time": config.dwell_time_below}.get(rule)
    return {"rule": rule, "threshold": threshold, "clean_test_possible": rule != "none"}
