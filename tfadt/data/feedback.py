"""Which interactions are false positives: a rating or a dwell time below a threshold, or a given flag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tfadt.config.ingest import Feedback
from tfadt.data.accounting import RowAccount
from tfadt.data.values import factorize, to_number

RULES = ("false_positive", "rating", "dwell_time")
_FLAGS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0}


def choose_rule(config: Feedback, tables: Sequence[pd.DataFrame]) -> str:
    """Returns the given rule, or for `auto` the first whose column every table has, or `none`."""
    if config.rule != "auto":
        return config.rule
    return next((rule for rule in RULES if all(rule in table.columns for table in tables)), "none")


def apply_rule(frame: pd.DataFrame, rule: str, config: Feedback, account: RowAccount) -> pd.DataFrame:
    """Adds or replaces the column `false_positive` (bool), rejecting rows whose feedback cannot be read.

    Args:
        frame: Rows, with the rule's column.
        rule: What `choose_rule` returned.
        config: Thresholds.
        account: Counts rejected rows: missing, not a number, not finite, negative (dwell time), not a flag.

    Returns:
        The rows that are left; without the column for the rule `"none"`.
    """
    if rule == "none":
        return frame.drop(columns="false_positive", errors="ignore")
    column = frame[rule]
    if rule == "false_positive":
        values, missing = read_flags(column, rule)
        checks = {"missing": ~missing, "not 0 or 1": ~np.isnan(values)}
    else:
        values, missing = to_number(column, rule)
        checks = {"missing": ~missing, "not a number": ~np.isnan(values), "not finite": np.isfinite(values)}
        if rule == "dwell_time":
            checks["negative"] = values >= 0
    threshold = {"rating": config.rating_below, "dwell_time": config.dwell_time_below}.get(rule)
    disliked = values == 1 if threshold is None else values < threshold
    frame = frame.assign(false_positive=disliked)
    good = np.ones(len(frame), bool)
    for reason, passes in checks.items():
        frame = account.keep(frame, passes[good], f"{rule} {reason}")
        good &= passes
    account.observe(rule, values[good])
    return frame


def read_flags(column: pd.Series, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64 `[n]`, 1 or 0 and NaN where a value is no flag, and bool `[n]`, True where it is missing."""
    codes, distinct = factorize(column, name)
    flags = np.array([*(_FLAGS.get(str(value).strip().lower(), np.nan) for value in distinct), np.nan])
    return flags[codes], codes < 0


def describe(rule: str, config: Feedback) -> dict[str, Any]:
    """Returns the rule for the manifest and reports."""
    threshold = {"rating": config.rating_below, "dwell_time": config.dwell_time_below}.get(rule)
    return {"rule": rule, "threshold": threshold, "clean_test_possible": rule != "none"}
