"""Stage `validate_data`: what is odd about a data set, by itself and beside that of an earlier run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from tfadt.config.pipeline import ValidateDataConfig
from tfadt.data.statistics import Statistics, divergence
from tfadt.errors import DataError


def find_anomalies(now: Statistics, settings: ValidateDataConfig, before: Statistics | None = None) -> list[str]:
    """Returns one sentence for each anomaly, none for data as expected.

    Args:
        now: The data set's statistics.
        settings: What is expected.
        before: Those of an earlier run, to find drift; None for the first run.
    """
    found = [*_schema(now, settings), *_ranges(now, settings)]
    if before is not None:
        found += _drift(now, before, settings)
    return found


def _schema(now: Statistics, settings: ValidateDataConfig) -> Iterator[str]:
    for kind in ("user_ids", "item_ids"):
        expected, received = getattr(settings, kind), getattr(now, kind)
        if expected not in ("any", received):
            yield f"The {kind[:4]} ids are of another type: expected {expected}, received {received}."
    if settings.feedback not in ("any", now.feedback):
        yield f"The feedback is another: expected {settings.feedback}, received {now.feedback}."


def _ranges(now: Statistics, settings: ValidateDataConfig) -> Iterator[str]:
    for name in ("users", "items", "train"):
        least, received = getattr(settings, f"min_{name}"), getattr(now, name)
        if received < least:
            what = "training interactions" if name == "train" else name
            yield f"There are few {what}: expected at least {least:,}, received {received:,}."
    shares = {
        "duplicate_share": "rows that repeat a (user, item) pair",
        "unreadable_share": "rows rejected for what stands in them",
        "false_positive_share": "false positives in training",
        "largest_user_share": "training interactions of one user",
        "largest_item_share": "training interactions of one item",
    }
    for name, what in shares.items():
        most, received = getattr(settings, f"max_{name}"), getattr(now, name)
        if received is not None and received > most:
            yield f"The share of {what} is large: expected at most {most:g}, received {received:.4g}."
    if settings.feedback_range is not None and now.feedback_range is not None:
        (low, high), (lowest, highest) = settings.feedback_range, now.feedback_range
        if lowest < low or highest > high:
            yield f"Values of {now.feedback} lie outside {low:g} .. {high:g}: received {lowest:g} .. {highest:g}."


def _drift(now: Statistics, before: Statistics, settings: ValidateDataConfig) -> Iterator[str]:
    for name, what in (("user_ids", "type of the user ids"), ("item_ids", "type of the item ids"), ("feedback", "feedback")):
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            yield f"The {what} has changed since the earlier run: expected {old}, received {new}."
    if now.train < settings.min_size_ratio * before.train:
        yield (
            f"There are far fewer training interactions than in the earlier run: expected at least "
            f"{settings.min_size_ratio:g} of {before.train:,}, received {now.train:,}."
        )
    drifts = {"popularity of items": _item_drift(now, before), "activity of users": _activity_drift(now, before)}
    for what, drift in drifts.items():
        if drift > settings.max_drift:
            yield (
                f"The {what} has drifted since the earlier run: expected a Jensen-Shannon divergence of at most "
                f"{settings.max_drift:g}, received {drift:.4g}."
            )


def _item_drift(now: Statistics, before: Statistics) -> float:
    # As text: ids that changed their type are told of by themselves.
    counts = [s.item_counts.rename(index=str) for s in (now, before)]
    table = pd.concat(counts, axis=1).fillna(0).to_numpy(np.float64)
    return divergence(table[:, 0], table[:, 1])


def _activity_drift(now: Statistics, before: Statistics) -> float:
    classes = max(len(now.activity), len(before.activity))
    shares = [np.pad(s.activity, (0, classes - len(s.activity))) for s in (now, before)]
    return divergence(shares[0], shares[1])


def check_anomalies(anomalies: Sequence[str], settings: ValidateDataConfig) -> None:
    """Raises DataError with the anomalies, if the settings say that they are no mere warning."""
    if anomalies and settings.on_anomaly == "fail":
        many = "an anomaly" if len(anomalies) == 1 else f"{len(anomalies)} anomalies"
        raise DataError(f"The data have {many} (validate_data.on_anomaly = 'warn' goes on): {' '.join(anomalies)}")
