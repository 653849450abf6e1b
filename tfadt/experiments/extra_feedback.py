"""What extra feedback is good for: the paper's Table 4 (ways to train), Table 5 and Figure 11 (colliding inference)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfadt.config.training import ADT_ALONE
from tfadt.evaluation.significance import PairedTest, mean_and_std, mean_over_seeds, paired_test
from tfadt.experiments.collide import Collided, Group
from tfadt.experiments.comparison import methods, paired, verdict
from tfadt.experiments.run import Run
from tfadt.registry import MODELS, PLAIN, POLICIES, policy_label

Table = tuple[list[str], list[list[str]]]


@dataclass(frozen=True)
class Gain:
    """A difference of a metric, paired over users (each averaged over the seeds) and over seeds.

    Attributes:
        difference: Of the means over users.
        p_value: Over users.
        p_value_seeds: Over seeds; None with one.
        verdict: As in a comparison.
    """

    difference: float
    p_value: float
    p_value_seeds: float | None
    verdict: str

    @classmethod
    def of(cls, users: PairedTest, seeds: PairedTest) -> Gain:
        """Returns what the two tests say together."""
        by_seed = seeds.p_value if seeds.users > 1 else None
        return cls(users.difference, users.p_value, by_seed, verdict(users, seeds))

    def __str__(self) -> str:
        by_seed = "" if self.p_value_seeds is None else f"; seeds {self.p_value_seeds:.2g}"
        return f"{self.difference:+.4f} (p {self.p_value:.2g}{by_seed}): {self.verdict}"


@dataclass(frozen=True)
class WayToTrain:
    """A row of Table 4.

    Attributes:
        model, policy, plan: The method.
        against_plain: Its gain over plain training in ADT alone; None where there is none to compare with.
        against_adt_alone: Its gain over its own policy in ADT alone; None likewise.
    """

    model: str
    policy: str
    plan: str
    against_plain: Gain | None
    against_adt_alone: Gain | None


@dataclass(frozen=True)
class Mixed:
    """A row of Table 5, and its curve of Figure 11.

    Attributes:
        model, policy, plan: Which training.
        group: The users that are mixed with their neighbours.
        test_users: How many of them the test has.
        plain, colliding: The group's mean of each metric, over the seeds, with either ranking; None where there is no user.
        gain: Of colliding inference; None where there is no user.
        chosen_lambdas, chosen_neighbors: What validation chose in each seed.
        lambdas: The weights of a user's own predictions that were tried.
        curve: Recall on validation at each of them with the chosen |N|, that of the plain ranking being 1, mean of the
            seeds; None where a seed has nothing to measure.
    """

    model: str
    policy: str
    plan: str
    group: Group
    test_users: int
    plain: dict[str, float | None]
    colliding: dict[str, float | None]
    gain: Gain | None
    chosen_lambdas: list[float]
    chosen_neighbors: list[int]
    lambdas: list[float]
    curve: list[float] | None


def uses_extra_feedback(runs: Sequence[Run]) -> bool:
    """Returns whether some training used extra feedback."""
    return any(run.plan != ADT_ALONE or _needs(run.model, run.policy) for run in runs if run.policy is not None)


def ways_to_train(runs: Sequence[Run], metric: str) -> list[WayToTrain]:
    """Returns the rows of Table 4: the gain of each way to train on a metric such as `recall@20`.

    A model that is itself a way to use extra feedback (NMTR) is compared with the first model that is none.
    """
    trained = {method: own for method, own in methods(runs).items() if method[1] is not None}
    plain = {m: own for (m, policy, plan), own in trained.items() if (policy, plan) == (PLAIN, ADT_ALONE)}
    proper = [own for model, own in plain.items() if not _needs(model, PLAIN)]
    found = []
    for (model, policy, plan), own in trained.items():
        baseline = plain.get(model, []) if not _needs(model, PLAIN) else next(iter(proper), [])
        alone = trained.get((model, policy, ADT_ALONE), [])
        gains = _gain(own, baseline, metric), _gain(own, alone, metric)
        found.append(WayToTrain(model, str(policy), plan, *gains))
    return found


def training_table(runs: Sequence[Run], ks: Sequence[int]) -> Table:
    """Returns header and cells of Table 4; gains are of recall at the first cut-off."""
    metrics = [f"{name}@{k}" for k in ks for name in ("recall", "ndcg")]
    header = ["model", "policy", "plan", *metrics, f"{metrics[0]} - plain", f"{metrics[0]} - ADT alone"]
    by_method = methods(runs)
    cells = []
    for row in ways_to_train(runs, metrics[0]):
        own = by_method[row.model, row.policy, row.plan]
        values = [_spread([run.evaluation.metrics[metric] for run in own]) for metric in metrics]
        gains = ["" if gain is None else str(gain) for gain in (row.against_plain, row.against_adt_alone)]
        cells.append([row.model, policy_label(row.policy), row.plan, *values, *gains])
    return header, cells


def mixed_rankings(collided: Sequence[Collided], ks: Sequence[int]) -> list[Mixed]:
    """Returns the rows of Table 5: the groups without the users that have no extra feedback, then with them.

    Args:
        collided: What the stage found.
        ks: Cut-offs; the gain is of recall at the first.
    """
    metrics = [f"{name}@{k}" for k in ks for name in ("recall", "ndcg")]
    found = []
    for (model, policy, plan, group), own in _by_group(collided).items():
        plain, mixed = (
            {metric: _mean([each.mean(metric, with_others) for each in own]) for metric in metrics}
            for with_others in (False, True)
        )
        curves = [_curve(each) for each in own]
        known = [curve for curve in curves if curve is not None]
        found.append(
            Mixed(
                model,
                policy,
                plan,
                group,
                len(own[0].plain),
                plain,
                mixed,
                _mixed_gain(own, metrics[0]),
                [each.choice.lambda_ for each in own],
                [each.choice.num_neighbors for each in own],
                list(own[0].lambdas),
                np.mean(known, axis=0).tolist() if len(known) == len(curves) else None,
            )
        )
    return found


def colliding_table(collided: Sequence[Collided], ks: Sequence[int]) -> Table:
    """Returns header and cells of Table 5: each group ranked plainly, then with colliding inference."""
    metrics = [f"{name}@{k}" for k in ks for name in ("recall", "ndcg")]
    header = ["training", "users", "test users", "inference", *metrics, f"{metrics[0]} - plain", "lambda", "|N|"]
    by_group = _by_group(collided)
    cells = []
    for row in mixed_rankings(collided, ks):
        own = by_group[row.model, row.policy, row.plan, row.group]
        training = f"{row.model} {policy_label(row.policy)} {row.plan}"
        for mixed in (False, True):
            values = [[each.mean(metric, mixed) for each in own] for metric in metrics]
            shown = [_spread([v for v in value if v is not None]) if None not in value else "no users" for value in values]
            chosen = [
                "" if row.gain is None else str(row.gain),
                " ".join(f"{value:g}" for value in row.chosen_lambdas),
                " ".join(map(str, row.chosen_neighbors)),
            ]
            cells.append(
                [
                    training,
                    group_name(row.group),
                    f"{row.test_users:,}",
                    "colliding" if mixed else "plain",
                    *shown,
                    *(chosen if mixed else [""] * len(chosen)),
                ]
            )
    return header, cells


def group_name(group: Group) -> str:
    """Returns what the report calls a group of users."""
    return f"ratio < {group.below:g}" + (", with those at 0" if group.include_empty else "")


def _curve(each: Collided) -> np.ndarray | None:
    """Returns recall over lambda at the chosen |N|, the plain ranking being 1; None where there is nothing to measure."""
    if not each.choice.plain:
        return None
    return np.array(each.choice.curve[each.sizes.index(each.choice.num_neighbors)]) / each.choice.plain


def _by_group(collided: Sequence[Collided]) -> dict[tuple[str, str, str, Group], list[Collided]]:
    found: dict[tuple[str, str, str, Group], list[Collided]] = {}
    for each in collided:
        found.setdefault((each.model, each.policy, each.plan, each.group), []).append(each)
    return found


def _needs(model: str, policy: str | None) -> bool:
    """Returns whether a model or a policy is itself a way to train on extra feedback.

    A policy that makes weights of it before training, as the noise model, is a row of the table of policies like any other.
    """
    classes = MODELS.resolve(model), POLICIES.resolve(str(policy))
    return any(each.needs_extra_feedback and not getattr(each, "knows_weights", False) for each in classes)


def _spread(values: Sequence[float]) -> str:
    mean, std = mean_and_std(values)
    return f"{mean:.4f}" + (f" ± {std:.4f}" if len(values) > 1 else "")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _gain(own: Sequence[Run], baseline: Sequence[Run], metric: str) -> Gain | None:
    # In the midst of a run a method can be a seed ahead of its baseline: there is nothing to pair yet.
    if own is baseline or len(own) != len(baseline):
        return None
    return Gain.of(*paired(own, baseline, metric))


def _mixed_gain(own: Sequence[Collided], metric: str) -> Gain | None:
    if not len(own[0].plain):
        return None
    both = [each.mixed for each in own], [each.plain for each in own]
    by_user = [mean_over_seeds(frames, metric) for frames in both]
    by_seed = [np.array([frame[metric].mean() for frame in frames]) for frames in both]
    return Gain.of(paired_test(*by_user), paired_test(*by_seed))
