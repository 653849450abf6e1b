"""Which interactions are false positives: a rating or a dwell time below a threshold, or a given flag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfadt.config.ingest import Feedback, IngestConfig
from tfadt.data.tables import Source
from tfadt.data.values import Value

RULES = ("false_positive", "rating", "dwell_time")
_SECONDS = {"s": "", "ms": " / 1000", "min": " * 60"}


def choose_rule(config: Feedback, sources: Sequence[Source]) -> str:
    """Returns the given rule, or for `auto` the first whose column every source has, or `none`.

    Feedback that only some sources have must not get lost unsaid: its rule is returned, and its column then missed.
    """
    if config.rule != "auto":
        return config.rule
    everywhere = (rule for rule in RULES if all(rule in source.values for source in sources))
    somewhere = (rule for rule in RULES if any(rule in source.values for source in sources))
    return next(everywhere, next(somewhere, "none"))


def read(value: Value | None, rule: str, config: IngestConfig) -> tuple[str, str, list[tuple[str, str]]]:
    """Returns how the feedback is read.

    Returns:
        The expression of the number (a rating; a dwell time in seconds; 1 or 0 for a flag), NULL where there is none; that
        of whether nothing stands there; and (condition over `number` and `no_feedback`, reason) of the rows that are
        rejected.
    """
    if value is None or rule == "none":
        return "NULL::DOUBLE", "false", []
    missing = ("no_feedback", f"{rule} missing")
    if rule == "false_positive":
        return f"({value.as_flag})::INT::DOUBLE", value.missing, [missing, ("number IS NULL", f"{rule} not 0 or 1")]
    unit = _SECONDS[config.dwell_time_unit] if rule == "dwell_time" else ""
    found = [missing, ("number IS NULL OR isnan(number)", f"{rule} not a number"), ("isinf(number)", f"{rule} not finite")]
    if rule == "dwell_time":
        found.append(("number < 0", f"{rule} negative"))
    return f"({value.as_number(config.decimal_separator)}){unit}", value.missing, found


def disliked(rule: str, config: Feedback) -> str:
    """Returns the expression of whether a row is a false positive, over `number`."""
    return "number = 1" if rule == "false_positive" else f"number < {threshold(rule, config) or 0}"


def threshold(rule: str, config: Feedback) -> float | None:
    """Returns below which value a row is a false positive; None where no number tells it."""
    return {"rating": config.rating_below, "dwell_time": config.dwell_time_below}.get(rule)


def describe(rule: str, config: Feedback) -> dict[str, Any]:
    """Returns the rule for the manifest and reports."""
    return {"rule": rule, "threshold": threshold(rule, config), "clean_test_possible": rule != "none"}
