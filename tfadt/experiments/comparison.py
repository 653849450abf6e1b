"""Each denoising policy against plain training of the same model: spread over seeds, paired tests over users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfadt.evaluation.significance import PairedTest, mean_and_std, mean_over_seeds, paired_test
from tfadt.experiments.run import Run
from tfadt.registry import PLAIN
from tfadt.training.plan import ADT_ALONE

_SIGNIFICANT = 0.05

ENOUGH_SEEDS = 5
"""With fewer, a paired test over seeds has hardly any power, or is significant by chance."""


@dataclass(frozen=True)
class Row:
    """One method: mean and standard deviation of each metric over its seeds.

    Attributes:
        model: Registered name, or `most_popular`.
        policy: Registered name; None for `most_popular`.
        plan: The stages of the training, joined by +.
        seeds: Number of runs.
        metrics: Metric -> (mean, standard deviation).
        drop_rate: Mean realised drop rate of the selected epoch.
        seconds: Mean wall time of a run.
    """

    model: str
    policy: str | None
    plan: str
    seeds: int
    metrics: dict[str, tuple[float, float]]
    drop_rate: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """A policy in a plan of stages against plain training of the same model, on one metric.

    Attributes:
        model: Registered name.
        policy: Registered name.
        plan: The stages of the training, joined by +.
        metric: Such as `recall@20`.
        test: Paired over users, each user's value averaged over the seeds. It knows the chance of which users are tested,
            not the chance of training.
        seed_test: Paired over seeds (the same seed draws the same batches for both): the chance of training.
    """

    model: str
    policy: str
    plan: str
    metric: str
    test: PairedTest
    seed_test: PairedTest

    @property
    def verdict(self) -> str:
        """Whether the policy helps; see `verdict`."""
        return verdict(self.test, self.seed_test)

    def as_dict(self) -> dict[str, Any]:
        """Returns the comparison for `results.json`."""
        return {
            "model": self.model,
            "policy": self.policy,
            "plan": self.plan,
            "baseline": PLAIN,
            "metric": self.metric,
            **asdict(self.test),
            "p_value_seeds": self.seed_test.p_value if self.seed_test.users > 1 else None,
            "verdict": self.verdict,
        }


def rows(runs: Sequence[Run]) -> list[Row]:
    """Returns one row a method, in the order in which they first ran."""
    table = []
    for (model, policy, plan), own in methods(runs).items():
        metrics = {m: mean_and_std([run.evaluation.metrics[m] for run in own]) for m in own[0].evaluation.metrics}
        drop_rate, _ = mean_and_std([run.realised_drop_rate for run in own])
        seconds, _ = mean_and_std([run.seconds for run in own])
        table.append(Row(model, policy, plan, len(own), metrics, drop_rate, seconds))
    return table


def comparisons(runs: Sequence[Run], metrics: Sequence[str]) -> list[Comparison]:
    """Tests every method against `standard` in ADT alone of the same model; none for a model not trained like that."""
    by_method = methods(runs)
    found = []
    for (model, policy, plan), own in by_method.items():
        baseline = by_method.get((model, PLAIN, ADT_ALONE), [])
        # In the midst of a run a method can be a seed ahead of its baseline: there is nothing to pair yet.
        if policy is None or own is baseline or len(own) != len(baseline):
            continue
        found += [Comparison(model, policy, plan, metric, *paired(own, baseline, metric)) for metric in metrics]
    return found


def paired(own: Sequence[Run], baseline: Sequence[Run], metric: str) -> tuple[PairedTest, PairedTest]:
    """Returns the tests of a method against another over users (each averaged over the seeds) and over seeds."""
    by_user = [mean_over_seeds([run.evaluation.per_user for run in group], metric) for group in (own, baseline)]
    by_seed = [np.array([run.evaluation.metrics[metric] for run in group]) for group in (own, baseline)]
    return paired_test(*by_user), paired_test(*by_seed)


def verdict(users: PairedTest, seeds: PairedTest) -> str:
    """Returns whether a method helps: `better` or `worse` where users and seeds both say so.

    Fewer than five seeds cannot tell a method from the luck of its training; the verdict then says that it is for these.
    """
    if users.p_value >= _SIGNIFICANT:
        return "no significant difference"
    direction = "better" if users.difference > 0 else "worse"
    if seeds.users < 2:
        return f"{direction} with this seed"
    if seeds.users < ENOUGH_SEEDS:
        return f"{direction} over users with these {seeds.users} seeds"
    return direction if seeds.p_value < _SIGNIFICANT else "no difference beyond the chance of training"


def methods(runs: Sequence[Run]) -> dict[tuple[str, str | None, str], list[Run]]:
    """Returns the runs of each method (model, policy and plan), in the order in which they first ran."""
    found: dict[tuple[str, str | None, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.model, run.policy, run.plan), []).append(run)
    return found
