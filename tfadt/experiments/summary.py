"""The part `summary` of `results.json`: what a reader of the run wants to know, each number computed once, here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfadt.config import Config
from tfadt.config.loading import settings_of
from tfadt.config.training import ADT_ALONE
from tfadt.data.interactions import InteractionData
from tfadt.errors import reading
from tfadt.evaluation.metrics import LESS_IS_BETTER
from tfadt.evaluation.protocol import why_no_disliked
from tfadt.evaluation.ranking import activity_groups
from tfadt.experiments.choice import against_popularity, denoising, deployed
from tfadt.experiments.collide import Collided
from tfadt.experiments.comparison import ENOUGH_SEEDS, Comparison, Row, methods
from tfadt.experiments.curves import dropped_curves, loss_curves, solved_settings
from tfadt.experiments.extra_feedback import mixed_rankings, uses_extra_feedback, ways_to_train
from tfadt.experiments.layout import EPOCHS
from tfadt.experiments.run import Run
from tfadt.experiments.strength_frontier import strength_frontiers, why_no_strength
from tfadt.registry import MODELS, PLAIN, POLICIES, is_control, is_out_of_reach
from tfadt.training.plan import build_settings, is_closed_form
from tfadt.training.recipe import settled

_GROUPS = 10
_SIGNIFICANT = 0.05
_OF_TRAINING = ("objective", "learning_rate", "epochs", "batch_size", "num_negatives", "l2")
_GAPS = ("recall", "false_share")


def summary(
    config: Config,
    data: InteractionData,
    runs: Sequence[Run],
    table: Sequence[Row],
    tests: Sequence[Comparison],
    out: Path,
    collided: Sequence[Collided] = (),
    injected: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns what `results.json` has under `summary`; the page shows nothing that is not there.

    Args:
        config: The settings.
        data: The data set.
        runs: The runs so far.
        table: Their rows.
        tests: Their comparisons.
        out: The run's folder.
        collided: What colliding inference found.
        injected: What the policies catch of noise of known truth; None where none was injected.

    Returns:
        `k`, the cut-off of what follows; `roles` of the policies (see `role`); `deploy` and `denoising` (see
        `tfadt.experiments.choice`); `data`; `false_positives` (where they are, None
        without feedback); `oracle_gap`; `groups` (recall by activity); `losses` and `dropped` (see
        `tfadt.experiments.curves`); `strengths` (see `tfadt.experiments.strength_frontier`); `extra_feedback` and
        `colliding` (the rows of `tfadt.experiments.extra_feedback`); `settings`; `cost`; `not_done`.
    """
    k = config.evaluate.k[0]
    epochs = _epochs(out)
    chosen = deployed(runs)
    effect = denoising(runs, table, tests, chosen, k)
    return {
        "k": k,
        "roles": {row.policy: role(row.policy) for row in table if row.policy is not None},
        "deploy": None
        if chosen is None
        else {
            **asdict(chosen),
            "against_popularity": against_popularity(runs, chosen, k),
        },
        "denoising": effect,
        "data": data_figures(data),
        "false_positives": false_positives(data),
        "oracle_gap": oracle_gap(table, tests, k),
        "groups": groups(runs, k),
        "losses": loss_curves(epochs),
        "dropped": dropped_curves(epochs),
        "strengths": strength_frontiers(runs),
        "extra_feedback": [asdict(each) for each in ways_to_train(runs, f"recall@{k}")] if uses_extra_feedback(runs) else [],
        "colliding": [asdict(each) for each in mixed_rankings(collided, config.evaluate.k)],
        "settings": [_settings(config, data, row, epochs) for row in table if row.policy is not None],
        "cost": {
            "seconds": sum(run.seconds for run in runs),
            "methods": [{**_method(row), "trainings": row.seeds, "seconds": row.seconds} for row in table],
        },
        "not_done": not_done(data, runs, table, injected),
    }


def role(policy: str) -> str:
    """Returns what a policy is in a comparison: `plain`, `control`, `oracle` or `denoising`."""
    if policy == PLAIN:
        return "plain"
    return "oracle" if is_out_of_reach(policy) else "control" if is_control(policy) else "denoising"


def data_figures(data: InteractionData) -> dict[str, Any]:
    """Returns the sizes of the training split, and how dense it is."""
    clicks, users, items = len(data.train), data.num_users, data.num_items
    return {
        "num_clicks": clicks,
        "num_users": users,
        "num_items": items,
        "clicks_per_user": clicks / users,
        "clicks_per_item": clicks / items,
        "density": clicks / (users * items),
    }


def false_positives(data: InteractionData) -> dict[str, Any] | None:
    """Returns where the false positives of training are, by popularity of the item and by activity of the user.

    Returns:
        `share` of all training clicks; `by_popularity` and `by_activity`: up to ten groups of equal clicks, the least
        popular or active first, with `members` (items or users), `least` and `most` clicks of a member, `clicks`
        and the `share` of false positives among them. None without feedback.
    """
    flags = data.train.false_positive
    if flags is None or not len(flags):
        return None

    def by(codes: np.ndarray, size: int) -> list[dict[str, Any]]:
        counts = np.bincount(codes, minlength=size)
        group = activity_groups(counts, _GROUPS)
        found = []
        for n in range(_GROUPS):
            members = counts[group == n]
            if members.sum():
                own = flags[group[codes] == n]
                found.append(
                    {
                        "members": len(members),
                        "least": int(members.min()),
                        "most": int(members.max()),
                        "clicks": len(own),
                        "share": float(own.mean()),
                    }
                )
        return found

    return {
        "share": float(flags.mean()),
        "by_popularity": by(data.train.item, data.num_items),
        "by_activity": by(data.train.user, data.num_users),
    }


def oracle_gap(table: Sequence[Row], tests: Sequence[Comparison], k: int) -> list[dict[str, Any]]:
    """Returns how far from plain training to the oracle each policy goes, on recall and on disliked items.

    Returns:
        `model`, `policy`, `metric`, `gap` (oracle - plain) and `share` of it that the policy closes; None where the oracle
        itself is not better by the corrected test, since a share of nothing certain tells nothing.
    """
    by_method = {(row.model, row.policy): row for row in table if row.plan == ADT_ALONE}
    tests = [test for test in tests if test.baseline == PLAIN]
    found = []
    for test in tests:
        name = test.metric.partition("@")[0]
        if test.plan != ADT_ALONE or name not in _GAPS or not test.metric.endswith(f"@{k}") or is_out_of_reach(test.policy):
            continue
        oracle = next((each for each in tests if _is_oracle_of(each, test)), None)
        if oracle is None:
            continue
        gap = oracle.test.difference
        gains = (gap < 0) == (name in LESS_IS_BETTER) and oracle.p_holm < _SIGNIFICANT
        value, plain = (by_method[test.model, policy].metrics[test.metric][0] for policy in (test.policy, PLAIN))
        share = (value - plain) / gap if gains else None
        found.append({"model": test.model, "policy": test.policy, "metric": test.metric, "gap": gap, "share": share})
    return found


def _is_oracle_of(other: Comparison, test: Comparison) -> bool:
    same = (other.model, other.plan, other.metric) == (test.model, test.plan, test.metric)
    return same and is_out_of_reach(other.policy)


def groups(runs: Sequence[Run], k: int) -> list[dict[str, Any]]:
    """Returns the mean recall of each method in the four groups of users, the least active first; None for an empty one."""
    found = []
    for (model, policy, plan), own in methods(runs).items():
        by_seed = [run.evaluation.by_group(f"recall@{k}") for run in own]
        means = [
            None
            if any(value is None for value in values)
            else float(np.mean([value for value in values if value is not None]))
            for values in zip(*by_seed, strict=True)
        ]
        found.append({"model": model, "policy": policy, "plan": plan, "recall": means})
    return found


def not_done(
    data: InteractionData, runs: Sequence[Run], table: Sequence[Row], injected: Mapping[str, Any] | None = None
) -> list[dict[str, str]]:
    """Returns what the run does not answer, each with `what` and `why`."""
    found = []
    if (why := why_no_disliked(data)) is not None:
        found.append({"what": "Disliked items among what is recommended were not counted", "why": why})
    trained = [row for row in table if row.policy is not None]
    seeds = max((row.seeds for row in trained), default=0)
    if seeds < ENOUGH_SEEDS:
        found.append(
            {
                "what": "The luck of training is not in the verdict",
                "why": f"it needs {ENOUGH_SEEDS} seeds (--set adt.seeds={ENOUGH_SEEDS}), and this run has {seeds}",
            }
        )
    with_policy = {row.model for row in trained if row.policy != PLAIN}
    for model in dict.fromkeys(row.model for row in trained if row.model not in with_policy):
        why = (
            "it is solved in closed form, without a loss that these policies act on"
            if is_closed_form(model)
            else "not asked"
        )
        found.append({"what": f"No denoising of {model} was compared", "why": why})
    with_plain = {row.model for row in trained if row.policy == PLAIN and row.plan == ADT_ALONE}
    for model in dict.fromkeys(row.model for row in trained if row.model not in with_plain):
        found.append({"what": f"{model} was not compared with plain training", "why": "the run has no plain training of it"})
    if data.train.false_positive is not None and not any(is_out_of_reach(row.policy) for row in trained):
        found.append(
            {
                "what": "How much there is to gain is not known",
                "why": "there was no oracle (--policy standard,t_ce,clean_only)",
            }
        )
    if (why := why_no_strength(runs)) is not None:
        found.append({"what": "No strength of denoising was chosen on validation", "why": why})
    why = "a study does (tfadt study)" if injected is None else injected["why"]
    if why is not None:
        found.append({"what": "No noise of known truth was put into the log to see what each policy catches", "why": why})
    if any(run.valid_recall is None for run in runs if run.has_model):
        found.append({"what": "No model was chosen by validation", "why": "there are no validation interactions"})
    return found


def _epochs(out: Path) -> pd.DataFrame:
    path = out / EPOCHS
    if not path.is_file():
        return pd.DataFrame()
    with reading(path):
        return pd.read_parquet(path)


def _method(row: Row) -> dict[str, Any]:
    return {"model": row.model, "policy": row.policy, "plan": row.plan}


def _settings(config: Config, data: InteractionData, row: Row, epochs: pd.DataFrame) -> dict[str, Any]:
    """Returns the settings that a method trained with: those given to its model and policy, and those of training."""
    policy = str(row.policy)
    config = settings_of(config, row.model, policy)
    settings: dict[str, Any] = {}
    for section, registry, name in (("model", MODELS, row.model), ("policy", POLICIES, policy)):
        given = build_settings(section, registry, name, config)[1]
        settings |= {f"{section}.{name}.{key}": value for key, value in given.items()}
    if is_closed_form(row.model):
        keys = ["model", "policy", "plan"]
        own = epochs[(epochs[keys] == [row.model, policy, row.plan]).all(axis=1)] if len(epochs) else epochs
        cls = MODELS.resolve(row.model)
        settings |= {f"chosen {name}": values for name, values in solved_settings(own, list(cls.grid)).items()}
    else:
        adt = settled(config.adt, build_settings("model", MODELS, row.model, config)[0], data.history())
        settings |= {f"adt.{name}": getattr(adt, name) for name in _OF_TRAINING}
    return {**_method(row), "settings": settings}
