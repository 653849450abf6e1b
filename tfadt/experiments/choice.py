"""Which training of a run to deploy, and what denoising does to that model: the decision that a run is made for."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfadt.config.training import ADT_ALONE
from tfadt.evaluation.significance import mean_over_seeds, paired_test
from tfadt.experiments.comparison import Comparison, Row, methods
from tfadt.experiments.run import POPULAR, Run
from tfadt.registry import MODELS, PLAIN, is_control, is_out_of_reach
from tfadt.training.plan import is_closed_form

Outcome = Literal["helps", "trade", "harms", "nothing"]
"""`trade`: better on one metric, worse on another."""


@dataclass(frozen=True)
class Deployed:
    """The training to deploy.

    Attributes:
        training: Its name, such as `gmf-t_ce-0`.
        model, policy, plan: Its method.
        seeds: Trainings of the method.
        valid_recall: Their mean recall on validation, by which the method was chosen; None where there was no choice.
        expected: Whether the policy was chosen since fewer disliked items are expected of it on validation.
    """

    training: str
    model: str
    policy: str
    plan: str
    seeds: int
    valid_recall: float | None
    expected: bool = False


@dataclass(frozen=True)
class Effect:
    """What a policy does to one metric, against plain training of the same model.

    Attributes:
        metric: Such as `recall@20`.
        plain, denoised: Means over the seeds.
        difference, low, high: Denoised - plain with its 95 % interval over users.
        change, change_low, change_high: The same as shares of `plain`; None where that is 0.
        p_value: Corrected for the other tests of the table (Holm).
        verdict: As in the comparison.
        seeds, seeds_agree: Seeds, and in how many of them the difference has the sign of `difference`.
    """

    metric: str
    plain: float
    denoised: float
    difference: float
    low: float
    high: float
    change: float | None
    change_low: float | None
    change_high: float | None
    p_value: float
    verdict: str
    seeds: int
    seeds_agree: int


def deployed(runs: Sequence[Run]) -> Deployed | None:
    """Returns the training to deploy: of the method with the best mean recall on validation, the best seed.

    Where the strength of a policy was chosen on validation by expected disliked items, and is not none, that policy is
    deployed of the same model: fewer disliked items are expected at nearly plain training's recall. The test never chooses.
    Oracles and controls are no candidates.

    Returns:
        None where there is no candidate, or several and no validation to choose by.
    """
    candidates = {method: own for method, own in methods(runs).items() if own[0].has_model and _is_candidate(method[1])}
    found = []
    for (model, policy, plan), own in candidates.items():
        recalls = [run.valid_recall for run in own if run.valid_recall is not None]
        if len(recalls) < len(own):
            if len(candidates) > 1:
                return None
            return Deployed(own[0].name, model, str(policy), plan, len(own), None)
        best = max(own, key=lambda run: run.valid_recall or 0.0)
        found.append(Deployed(best.name, model, str(policy), plan, len(own), float(np.mean(recalls)), _expected(own)))
    best_method = max(found, key=lambda each: each.valid_recall or 0.0, default=None)
    if best_method is None:
        return None
    return next((each for each in found if each.model == best_method.model and each.expected), best_method)


def export_command(out: Path, training: str) -> str:
    """Returns the command that exports a training of a run."""
    return f"tfadt export {shlex.quote(str(out))} --model {shlex.quote(training)} --out saved_models"


def against_popularity(runs: Sequence[Run], chosen: Deployed, k: int) -> dict[str, float]:
    """Returns the recall of the most popular items, and how much more the chosen method has.

    Returns:
        `recall`, and of the paired test over users `difference`, its 95 % interval `low` and `high`, and `p_value`.
    """
    by_method = methods(runs)
    own = by_method[chosen.model, chosen.policy, chosen.plan]
    floor = next(found for (model, _, _), found in by_method.items() if model == POPULAR)
    metric = f"recall@{k}"
    by_user = [mean_over_seeds([run.evaluation.per_user for run in group], metric) for group in (own, floor)]
    test = paired_test(*by_user)
    recall = floor[0].metrics[metric]
    return {
        "recall": recall,
        "difference": test.difference,
        "low": test.ci_low,
        "high": test.ci_high,
        "p_value": test.p_value,
    }


def denoising(
    runs: Sequence[Run], table: Sequence[Row], tests: Sequence[Comparison], chosen: Deployed | None, k: int
) -> dict[str, Any] | None:
    """Returns what denoising does to recall and to disliked items.

    That is the deployed method where it denoises; else the denoised method with the best recall on validation, of the
    deployed model if it was trained under any.

    Returns:
        `model`, `policy`, `plan`, `training` (the best seed), `seeded` (whether a seed changes it), `deployed`,
        `outcome` (see `Outcome`) and `effects`; None where no denoising was compared with plain training.
    """
    compared = {
        (test.model, test.policy, test.plan)
        for test in tests
        if test.baseline == PLAIN and _is_candidate(test.policy) and test.policy != PLAIN
    }
    chosen_method = None if chosen is None else (chosen.model, chosen.policy, chosen.plan)
    if chosen_method not in compared:
        of_model = {method for method in compared if chosen is not None and method[0] == chosen.model}
        best = deployed([run for run in runs if (run.model, run.policy, run.plan) in (of_model or compared)])
        if best is None:
            return None
        method, training = (best.model, best.policy, best.plan), best.training
    else:
        assert chosen is not None
        method, training = (chosen.model, chosen.policy, chosen.plan), chosen.training
    effects = effects_of(method, runs, table, tests, (f"recall@{k}", f"ndcg@{k}", f"false_share@{k}"))
    judged = [each.verdict.split()[0] for each in effects if not each.metric.startswith("ndcg")]
    better, worse = "better" in judged, "worse" in judged
    outcome: Outcome = "trade" if better and worse else "helps" if better else "harms" if worse else "nothing"
    model, policy, plan = method
    return {
        "model": model,
        "policy": policy,
        "plan": plan,
        "training": training,
        "seeded": not is_closed_form(model) or bool(MODELS.resolve(model).seeded),
        "deployed": method == chosen_method,
        "outcome": outcome,
        "effects": {each.metric.partition("@")[0]: asdict(each) for each in effects},
    }


def effects_of(
    method: tuple[str, str, str],
    runs: Sequence[Run],
    table: Sequence[Row],
    tests: Sequence[Comparison],
    metrics: Sequence[str],
) -> list[Effect]:
    """Returns what a method does to each of the metrics that it was tested on."""
    rows = {(row.model, row.policy, row.plan): row for row in table}
    found = []
    for test in tests:
        if (test.model, test.policy, test.plan) != method or test.baseline != PLAIN or test.metric not in metrics:
            continue
        own, plain = rows[method], rows[test.model, PLAIN, ADT_ALONE]
        value = plain.metrics[test.metric][0]
        t = test.test
        by_seed = _seed_differences(runs, own, plain, test.metric)
        change, low, high = (d / value if value else None for d in (t.difference, t.ci_low, t.ci_high))
        found.append(
            Effect(
                test.metric,
                value,
                own.metrics[test.metric][0],
                t.difference,
                t.ci_low,
                t.ci_high,
                change,
                low,
                high,
                test.p_holm,
                test.verdict,
                len(by_seed),
                sum(d * t.difference > 0 for d in by_seed),
            )
        )
    return found


def _expected(own: Sequence[Run]) -> bool:
    """Returns whether most seeds chose a strength of denoising that is not none."""
    chosen = [run.strength["chosen"] for run in own if run.strength is not None]
    return 2 * sum(each["policy"] != PLAIN or each["gamma"] > 0 for each in chosen) > len(own)


def _is_candidate(policy: str | None) -> bool:
    return policy is not None and not is_out_of_reach(policy) and not is_control(policy)


def _seed_differences(runs: Sequence[Run], own: Row, plain: Row, metric: str) -> list[float]:
    def by_seed(row: Row) -> dict[int | None, float]:
        method = (row.model, row.policy, row.plan)
        return {run.seed: run.metrics[metric] for run in runs if (run.model, run.policy, run.plan) == method}

    theirs = by_seed(plain)
    return [value - theirs[seed] for seed, value in by_seed(own).items() if seed in theirs]
