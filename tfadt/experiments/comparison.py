"""Each method against plain training of its model and against the most popular items: spread over seeds, paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from tfadt.config.training import ADT_ALONE
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
from tfadt.experiments.run import POPULAR, Run
from tfadt.registry import PLAIN
from tfadt.training.plan import is_seeded

SIGNIFICANT = 0.05

ACCURACY = ("recall", "ndcg")
TESTED = (*ACCURACY, "false_share", "anti_precision", "novelty")
"""Metrics that every method is compared by, before the `@k`."""

ENOUGH_SEEDS = 5
"""With fewer, a paired test over seeds has hardly any power, or is significant by chance."""


@dataclass(frozen=True)
class Row:
    """One method: mean and standard deviation of each metric over its seeds.

    Attributes:
        model: Registered name.
        policy: Registered name; None for a floor that was not asked for.
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
    """A method against another, on one metric.

    Attributes:
        model: Registered name.
        policy: Registered name.
        plan: The stages of the training, joined by +.
        baseline: `standard`, plain training of the same model in ADT alone, or `popular`, the most popular items.
        metric: Such as `recall@20`.
        test: Paired over users, each user's value averaged over the seeds. It knows the chance of which users are tested,
            not the chance of training.
        seed_test: Paired over seeds (the same seed draws the same batches for both): the chance of training.
        p_holm: The p-value over users, corrected (Holm) for all tests of its table: those of all methods against this
            baseline at this cut-off, on recall and NDCG together or on what these cannot see together.
    """

    model: str
    policy: str
    plan: str
    baseline: str
    metric: str
    test: PairedTest
    seed_test: PairedTest
    p_holm: float

    @property
    def verdict(self) -> str:
        """Whether the method is better, by the corrected p-value; see `verdict`."""
        by_chance = self.seed_test if is_seeded(self.model) else None
        return verdict(replace(self.test, p_value=self.p_holm), by_chance, self.metric)

    def as_dict(self) -> dict[str, Any]:
        """Returns the comparison for `results.json`."""
        return {
            "model": self.model,
            "policy": self.policy,
            "plan": self.plan,
            "baseline": self.baseline,
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
    """Tests every method against `standard` in ADT alone of its model, where that was trained, and against `popular`."""
    by_method = methods(runs)
    floor = next((own for own in by_method.values() if own[0].is_floor), [])
    found: list[Comparison] = []
    for (model, policy, plan), own in by_method.items():
        if own is floor or policy is None:
            continue
        plain = by_method.get((model, PLAIN, ADT_ALONE), [])
        for name, baseline in ((PLAIN, plain), (POPULAR, [] if plain is floor else floor)):
            # In the midst of a run a method can be a seed ahead of its baseline: there is nothing to pair yet.
            if own is not baseline and len(baseline) == (1 if baseline is floor else len(own)):
                for metric in metrics:
                    users, seeds = paired(own, baseline, metric)
                    found.append(Comparison(model, policy, plan, name, metric, users, seeds, users.p_value))
    return _corrected(found)


def _corrected(tests: Sequence[Comparison]) -> list[Comparison]:
    """Returns the tests with the p-values that are corrected for all tests of the same table."""
    tables: dict[tuple[str, str, bool], list[int]] = {}
    for n, test in enumerate(tests):
        name, _, k = test.metric.partition("@")
        tables.setdefault((test.baseline, k, name in ACCURACY), []).append(n)
    found = list(tests)
    for members in tables.values():
        for n, p in zip(members, holm([tests[n].test.p_value for n in members]), strict=True):
            found[n] = replace(tests[n], p_holm=p)
    return found


def paired(own: Sequence[Run], baseline: Sequence[Run], metric: str) -> tuple[PairedTest, PairedTest]:
    """Returns the tests of a method against another over users (each averaged over the seeds) and over seeds.

    A baseline of one run, which no seed changes, is the same for every seed.
    """
    by_user = [mean_over_seeds([run.evaluation.per_user for run in group], metric) for group in (own, baseline)]
    ours, theirs = (np.array([run.evaluation.metrics[metric] for run in group]) for group in (own, baseline))
    return paired_test(*by_user), paired_test(ours, np.broadcast_to(theirs, ours.shape))


def verdict(users: PairedTest, seeds: PairedTest | None, metric: str = "recall") -> str:
    """Returns whether a method is better: `better` or `worse` where users and seeds both say so.

    Fewer disliked items are better; more or less of novelty is neither, so it is `higher` or `lower`.
    Fewer than five seeds cannot tell a method from the luck of its training; the verdict then says that it is for these.

    Args:
        users: The test over users.
        seeds: The test over seeds; None for a method that no seed changes.
        metric: What was tested.
    """
    if users.p_value >= SIGNIFICANT:
        return "no significant difference"
    name = metric.partition("@")[0]
    if name == "novelty":
        direction = "higher" if users.difference > 0 else "lower"
    else:
        direction = "better" if (users.difference > 0) != (name in LESS_IS_BETTER) else "worse"
    if seeds is None:
        return direction
    if seeds.users < 2:
        return f"{direction} with this seed"
    if seeds.users < ENOUGH_SEEDS:
        return f"{direction} over users with these {seeds.users} seeds"
    return direction if seeds.p_value < SIGNIFICANT else "no difference beyond the chance of training"


def methods(runs: Sequence[Run]) -> dict[tuple[str, str | None, str], list[Run]]:
    """Returns the runs of each method (model, policy and plan), in the order in which they first ran."""
    found: dict[tuple[str, str | None, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.model, run.policy, run.plan), []).append(run)
    return found
