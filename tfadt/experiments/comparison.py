"""Each denoising policy against plain training of the same model: spread over seeds, paired tests over users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from tfadt.evaluation.false_positives import false_share_interval
from tfadt.evaluation.metrics import LESS_IS_BETTER
from tfadt.evaluation.significance import (
    PairedTest,
    holm,
    mean_and_std,
    mean_interval,
    mean_over_seeds,
    paired_test,
)
from tfadt.experiments.run import Run
from tfadt.registry import PLAIN
from tfadt.training.plan import ADT_ALONE

_SIGNIFICANT = 0.05

TESTED = ("recall", "ndcg", "false_share", "anti_precision", "novelty")
"""Metrics that every method is compared by, before the `@k`."""

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
        intervals: Metric -> its 95 % interval over users, each user's values averaged over the seeds: the chance of which
            users are tested. Coverage, which is of all users together, has none.
    """

    model: str
    policy: str | None
    plan: str
    seeds: int
    metrics: dict[str, tuple[float, float]]
    drop_rate: float
    seconds: float
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Returns the row for `results.json`."""
        method = {"model": self.model, "policy": self.policy, "plan": self.plan, "seeds": self.seeds}
        means = {name: mean for name, (mean, _) in self.metrics.items()}
        return {**method, "metrics": means, "intervals": {name: list(each) for name, each in self.intervals.items()}}


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
        p_holm: The p-value over users, corrected for all comparisons of the run on this metric (Holm).
    """

    model: str
    policy: str
    plan: str
    metric: str
    test: PairedTest
    seed_test: PairedTest
    p_holm: float

    @property
    def verdict(self) -> str:
        """Whether the policy helps, by the corrected p-value; see `verdict`."""
        return verdict(replace(self.test, p_value=self.p_holm), self.seed_test, self.metric)

    def as_dict(self) -> dict[str, Any]:
        """Returns the comparison for `results.json`."""
        return {
            "model": self.model,
            "policy": self.policy,
            "plan": self.plan,
            "baseline": PLAIN,
            "metric": self.metric,
            **asdict(self.test),
            "p_value_holm": self.p_holm,
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
        table.append(Row(model, policy, plan, len(own), metrics, drop_rate, seconds, _intervals(own)))
    return table


def _intervals(own: Sequence[Run]) -> dict[str, tuple[float, float]]:
    frames = [run.evaluation.per_user for run in own]
    found = {}
    for metric in own[0].evaluation.metrics:
        name, _, k = metric.partition("@")
        if name == "false_share":
            found[metric] = false_share_interval(frames, int(k))
        elif metric in frames[0]:
            found[metric] = mean_interval(mean_over_seeds(frames, metric))
    return found


def tested_metrics(runs: Sequence[Run], ks: Sequence[int]) -> list[str]:
    """Returns the metrics that methods are compared by: those of `TESTED` that were measured."""
    wanted = [f"{name}@{k}" for k in ks for name in TESTED]
    return [metric for metric in wanted if all(metric in run.metrics for run in runs)]


def comparisons(runs: Sequence[Run], metrics: Sequence[str]) -> list[Comparison]:
    """Tests every method against `standard` in ADT alone of the same model; none for a model not trained like that."""
    by_method = methods(runs)
    found: list[tuple[tuple[str, str, str], str, PairedTest, PairedTest]] = []
    for (model, policy, plan), own in by_method.items():
        baseline = by_method.get((model, PLAIN, ADT_ALONE), [])
        # In the midst of a run a method can be a seed ahead of its baseline: there is nothing to pair yet.
        if policy is None or own is baseline or len(own) != len(baseline):
            continue
        found += [((model, policy, plan), metric, *paired(own, baseline, metric)) for metric in metrics]
    corrected: dict[str, list[float]] = {
        metric: holm([test.p_value for _, of, test, _ in found if of == metric]) for metric in metrics
    }
    return [Comparison(*method, metric, users, seeds, corrected[metric].pop(0)) for method, metric, users, seeds in found]


def paired(own: Sequence[Run], baseline: Sequence[Run], metric: str) -> tuple[PairedTest, PairedTest]:
    """Returns the tests of a method against another over users (each averaged over the seeds) and over seeds."""
    by_user = [mean_over_seeds([run.evaluation.per_user for run in group], metric) for group in (own, baseline)]
    by_seed = [np.array([run.evaluation.metrics[metric] for run in group]) for group in (own, baseline)]
    return paired_test(*by_user), paired_test(*by_seed)


def verdict(users: PairedTest, seeds: PairedTest, metric: str = "recall") -> str:
    """Returns whether a method helps: `better` or `worse` where users and seeds both say so.

    Fewer disliked items are better; more or less of novelty is neither, so it is `higher` or `lower`.
    Fewer than five seeds cannot tell a method from the luck of its training; the verdict then says that it is for these.
    """
    if users.p_value >= _SIGNIFICANT:
        return "no significant difference"
    name = metric.partition("@")[0]
    if name == "novelty":
        direction = "higher" if users.difference > 0 else "lower"
    else:
        direction = "better" if (users.difference > 0) != (name in LESS_IS_BETTER) else "worse"
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
