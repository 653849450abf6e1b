"""How much a study tries, and what it compares. Importing this does not import TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tfadt.registry import POLICIES

ROWS: dict[str, list[str]] = {
    "models": ["popular", "ease", "ials", "gmf", "neumf", "cdae"],
    "policies": ["standard", "t_ce", "r_ce", "popularity", "noise_model", "random_drop", "clean_only"],
}
"""What a study compares unless it is told otherwise, as far as it is registered and the data allow it."""


@dataclass(frozen=True)
class Budget:
    """What every row gets.

    Attributes:
        trials: Of the search.
        seeds: With which the winner is trained.
        hours: Within which the study is to end, as expected before it begins; models that take longer are left out.
        controls: Which models have them (`study.controls`).
        denoising: What the strength of denoising is chosen from, where that is not all: each power and
            policy is a training more.
    """

    trials: int
    seeds: int
    hours: float
    controls: str = "all"
    denoising: dict[str, Any] = field(default_factory=dict)


BUDGETS: dict[str, Budget] = {
    # T-CE, R-CE and weights by popularity are rows of their own all the same.
    "small": Budget(3, 3, 2, "best", {"powers": [1.0], "policies": []}),
    "medium": Budget(10, 5, 12),
    "large": Budget(30, 10, 72),
}


def defaults(budget: str) -> dict[str, Any]:
    """Returns the settings that a study has unless it is told otherwise."""
    chosen = BUDGETS[budget]
    policies = [policy for policy in ROWS["policies"] if policy in POLICIES]
    return {
        "adt": {"models": ROWS["models"], "policies": policies, "seeds": chosen.seeds},
        "tune": {"trials": chosen.trials},
        "study": {"controls": chosen.controls},
        "denoising": chosen.denoising,
    }
