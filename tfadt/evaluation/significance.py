"""Whether a difference between two methods is more than chance: paired tests over users, and spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from tfadt.evaluation.false_positives import false_share_values

_ROUNDING = 1e-12  # of a mean of ratios near 1


@dataclass(frozen=True)
class PairedTest:
    """A paired t-test over users.

    Attributes:
        difference: Mean of (method - baseline).
        ci_low, ci_high: Its 95 % confidence interval.
        p_value: Two-sided.
        users: Number of users.
    """

    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    users: int


def paired_test(method: np.ndarray, baseline: np.ndarray) -> PairedTest:
    """Compares two methods on the same users.

    Args:
        method: float `[U]`, a metric of each user (averaged over seeds); NaN for a user that has none, who is left out.
        baseline: float `[U]`, the same users in the same order.

    Returns:
        The test; p is 1 where the two are identical or there are fewer than two users.

    Raises:
        ValueError: If the two differ in length.
    """
    if len(method) != len(baseline):
        raise ValueError(f"Both methods need the same users. Received: {len(method)} and {len(baseline)} values.")
    difference = np.asarray(method, np.float64) - np.asarray(baseline, np.float64)
    difference = difference[~np.isnan(difference)]
    mean = float(difference.mean()) if len(difference) else 0.0
    # Equal up to rounding: scipy would divide noise by noise.
    if len(difference) < 2 or np.ptp(difference) <= _ROUNDING:
        certain = len(difference) >= 2 and abs(mean) > _ROUNDING
        return PairedTest(mean, mean, mean, 0.0 if certain else 1.0, len(difference))
    result = stats.ttest_1samp(difference, 0.0)
    interval = result.confidence_interval(0.95)
    return PairedTest(mean, float(interval.low), float(interval.high), float(result.pvalue), len(difference))


def mean_over_seeds(frames: Sequence[pd.DataFrame], metric: str) -> np.ndarray:
    """Averages a metric of each user over runs.

    Args:
        frames: `Evaluation.per_user` of each run.
        metric: Name of the column, or `false_share@k`.

    Returns:
        float64 `[U]`, ordered by user code; NaN for a user without this metric.

    Raises:
        ValueError: If the runs were not evaluated on the same users.
    """
    users = set(frames[0]["user"])
    for frame in frames[1:]:
        if set(frame["user"]) != users:
            raise ValueError(f"All runs need the same users. Received: {len(users)} and {len(frame)} users.")
    columns = [pd.DataFrame({"user": frame["user"], "value": _values(frame, metric)}) for frame in frames]
    return pd.concat(columns).groupby("user", sort=True)["value"].mean().to_numpy()


def _values(frame: pd.DataFrame, metric: str) -> np.ndarray:
    name, _, k = metric.partition("@")
    if name == "false_share":
        return false_share_values(frame, int(k))
    return frame[metric].to_numpy(np.float64)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % interval of a mean over users, by Student's t; NaN is left out.

    Args:
        values: float `[U]`, a metric of each user (averaged over seeds).
    """
    test = paired_test(values, np.zeros(len(values)))
    return test.ci_low, test.ci_high


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values of several tests, each corrected for the others (Holm, 1979).

    With them the chance that any true null hypothesis is rejected at level alpha is at most alpha.
    """
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    factors = np.arange(len(p_values), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * factors), 1.0)
    return [float(p) for p in corrected]


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Returns mean and sample standard deviation over seeds (0 for a single one)."""
    array = np.asarray(values, np.float64)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else 0.0
