"""One row of the results: a training, or the popularity floor, and how well it ranks the clean test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from tfadt.evaluation.ranking import Evaluation
from tfadt.training.plan import ADT_ALONE, training_name

POPULAR = "most_popular"


@dataclass(frozen=True)
class Run:
    """One row of the results: a training (or the popularity floor) and how well it ranks the clean test.

    Attributes:
        model: Registered name, or `most_popular`.
        policy: Registered name; None for `most_popular`.
        seed: None for `most_popular`.
        selection: The rule that chose the checkpoint; None for `most_popular`.
        evaluation: Metrics, and metrics of each user.
        realised_drop_rate: Share of the rows that the last epoch dropped.
        best_step: The selected step.
        selection_score: Its score under the rule, larger is better; None under `last`.
        without_negative: Training interactions of users who have every item: they are trained on without a negative.
        seconds: Wall time of training, validation included, and of the test.
        plan: The stages of the training, joined by +.
    """

    model: str
    policy: str | None
    seed: int | None
    selection: str | None
    evaluation: Evaluation
    realised_drop_rate: float
    best_step: int | None
    selection_score: float | None
    without_negative: int
    seconds: float
    plan: str = ADT_ALONE

    @property
    def name(self) -> str:
        """File name of what the run leaves."""
        if self.policy is None or self.seed is None:
            return POPULAR
        return training_name(self.model, self.policy, self.plan, self.seed)

    def as_dict(self) -> dict[str, Any]:
        """Returns the row for `results.json`."""
        return {
            "model": self.model,
            "policy": self.policy,
            "plan": self.plan,
            "seed": self.seed,
            "selection": self.selection,
            "metrics": self.evaluation.metrics,
            "realised_drop_rate": self.realised_drop_rate,
            "best_step": self.best_step,
            "selection_score": self.selection_score,
            "without_negative": self.without_negative,
            "seconds": round(self.seconds, 3),
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any], per_user: pd.DataFrame) -> Run:
        """Returns the run that `as_dict` described, given the metrics of each user."""
        fields = {name: value for name, value in row.items() if name != "metrics"}
        return cls(evaluation=Evaluation(row["metrics"], per_user), **fields)
