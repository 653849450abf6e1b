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


def number(value: Value, rule: str, config: IngestConfig) -> str:
    """Returns the expression of a rating, or of a dwell time in seconds."""
    unit = _SECONDS[config.dwell_time_unit] if rule == "dwell_time" else ""
    return f"({value.as_number(config.decimal_separator)}){unit}"


def checks(value: Value, rule: str, config: IngestConfig) -> list[tuple[str, str]]:
    """Returns (condition, reason): why a row is rejected, in this order."""
    if rule == "false_positive":
        return [(value.missing, f"{rule} missing"), (f"({value.as_flag}) IS NULL", f"{rule} not 0 or 1")]
    read = number(value, rule, config)
    found = [
        (value.missing, f"{rule} missing"),
        (f"{read} IS NULL OR isnan({read})", f"{rule} not a number"),
        (f"isinf({read})", f"{rule} not finite"),
    ]
    return [*found, (f"{read} < 0", f"{rule} negative")] if rule == "dwell_time" else found


def disliked(value: Value, rule: str, config: IngestConfig) -> str:
    """Returns the expression of whether a row is a false positive."""
    if rule == "false_positive":
        return value.as_flag
    return f"({number(value, rule, config)} < {threshold(rule, config.feedback)})"


def threshold(rule: str, config: Feedback) -> float | None:
    """Returns below which value a row is a false positive; None where no number tells it."""
    return {"rating": config.rating_below, "dwell_time": config.dwell_time_below}.get(rule)


def describe(rule: str, config: Feedback) -> dict[str, Any]:
    """Returns the rule for the manifest and reports."""
    return {"rule": rule, "threshold": threshold(rule, config), "clean_test_possible": rule != "none"}
