"""Whether a model is good enough to go on: its metrics beside a baseline's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfadt.config.ranking import BlessingConfig
from tfadt.evaluation.ranking import Evaluation
from tfadt.evaluation.significance import PairedTest, paired_test


@dataclass(frozen=True)
class Blessing:
    """A verdict on a model.

    Attributes:
        blessed: Whether the model may go on.
        reason: Why, in words.
        metric: What was compared.
        baseline: With what: `popular`, `standard` (plain training of the same model) or `none`.
        test: The paired test over users (method - baseline); None without a baseline.
    """

    blessed: bool
    reason: str
    metric: str
    baseline: str
    test: PairedTest | None

    def as_dict(self) -> dict[str, Any]:
        """Returns the verdict, JSON-ready."""
        return asdict(self)


def bless(evaluation: Evaluation, baseline: Evaluation | None, metric: str, settings: BlessingConfig) -> Blessing:
    """Compares a model with a baseline on the same users.

    Args:
        evaluation: The model's.
        baseline: The baseline's; None for none, then every model is blessed.
        metric: What is compared, such as `recall@20`.
        settings: Which baseline, and by how much it must be exceeded.
    """
    value = evaluation.metrics[metric]
    if baseline is None:
        return Blessing(True, f"{metric} {value:.4f}; there is no baseline to compare with.", metric, "none", None)
    test = paired_test(*(each.per_user.sort_values("user")[metric].to_numpy(np.float64) for each in (evaluation, baseline)))
    # Of the means as reported, so that the verdict can be checked against them.
    difference = value - baseline.metrics[metric]
    certain = settings.max_p is None or test.p_value <= settings.max_p
    reason = (
        f"{metric} {value:.4f} is {difference:+.4f} against {settings.baseline} ({baseline.metrics[metric]:.4f}, "
        f"p = {test.p_value:.3g} over {test.users:,} users); expected at least {settings.min_difference:+g}"
        f"{'' if settings.max_p is None else f' with p at most {settings.max_p:g}'}."
    )
    return Blessing(difference >= settings.min_difference and certain, reason, metric, settings.baseline, test)
