"""Which rows a study has, whose settings they train with, and how long a training of each model takes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from tfadt.config import Config
from tfadt.config.denoising import is_automatic
from tfadt.config.loading import settings_of, with_settings
from tfadt.data.interactions import InteractionData
from tfadt.denoising.base import DenoisingPolicy
from tfadt.denoising.click_weights import ClickWeights
from tfadt.errors import DataError
from tfadt.experiments.strength import strengths
from tfadt.registry import PLAIN, POLICIES
from tfadt.training.plan import Plan, applicable, build_settings, closed_form, make_policy
from tfadt.training.progress import Progress
from tfadt.training.stages import train
from tfadt.tuning.space import search_space


def impossible(policies: Sequence[str], data: InteractionData, config: Config) -> dict[str, str]:
    """Returns the policies that the data do not allow, and why."""
    extra = data.extra_feedback is not None and len(data.extra_feedback) > 0
    found = {}
    for policy in policies:
        cls, _ = build_settings("policy", POLICIES, policy, config)
        if cls.needs_feedback and data.train.false_positive is None:
            found[policy] = "it needs feedback on the clicks, and there is none"
        elif cls.needs_extra_feedback and not extra:
            found[policy] = "it needs clicks of which it is known whether they were liked, and there are none"
        elif is_automatic(policy, config) and not len(data.valid):
            found[policy] = "its strength is chosen on validation, and there are no validation interactions"
        elif (why := _too_little(make_policy(policy, config), data)) is not None:
            found[policy] = why
    return found


def _too_little(policy: DenoisingPolicy, data: InteractionData) -> str | None:
    """Returns why a policy finds too little to weigh the clicks by; None where it does not."""
    try:
        if isinstance(policy, ClickWeights):
            policy.interaction_weights(data.train)
    except DataError as error:
        return f"too little is known ({str(error).rstrip('.')})"
    return None


def searched_policies(config: Config) -> list[tuple[str, str]]:
    """Returns for which models and policies settings of the policy are searched.

    These are the policies that have any, but for plain training and for controls that take another policy's settings.
    """
    pairs = []
    for model in config.adt.models:
        for policy in applicable(model, config.adt.policies, config):
            if policy != PLAIN and _source(policy, config) not in config.adt.policies and _varies(model, policy, config):
                pairs.append((model, policy))
    return list(dict.fromkeys(pairs))


def taken_over(model: str, policy: str, config: Config) -> tuple[str, str]:
    """Returns the search whose settings a row trains with: its own, or that of the policy whose settings are its."""
    source = _source(policy, config)
    return (model, source) if source is not None and source in config.adt.policies else (model, policy)


def of_models(config: Config) -> Config:
    """Returns the settings of the search for the settings of models.

    The number of negatives does not vary if one of the policies, which train with the winner, would not try others.
    """
    key = "adt.num_negatives"
    pairs = [(model, policy) for model in config.adt.models for policy in applicable(model, config.adt.policies, config)]
    varied = {(model, policy): key in search_space(config, model, policy) for model, policy in pairs}
    if all(varied[pair] or not varied.get((pair[0], PLAIN), False) for pair in pairs):
        return config
    return with_settings(
        config, {"tune.space": {**config.tune.space, "adt": {**config.tune.space.get("adt", {}), "num_negatives": []}}}
    )


def of_policies(config: Config) -> Config:
    """Returns the settings of the search for the settings of policies: nothing else varies."""
    space = {"policy": config.tune.space["policy"]} if "policy" in config.tune.space else {}
    return with_settings(config, {"tune.over": ["policy"], "tune.space": space})


def seconds_of_training(model: str, data: InteractionData, config: Config) -> tuple[float, float]:
    """Returns about how long one plain training of a model takes, at least and at most.

    It is measured on two epochs, of which the second compiles nothing, or on all of a closed form. A training that stops
    where validation no longer rises has as many epochs as its patience lasts, and one more, at least.
    """
    plan = Plan(model, PLAIN, config.adt.seed)
    if closed_form(model, config) is not None:
        seconds = train(plan, data, config).seconds
        return seconds, seconds
    own = settings_of(config, model, PLAIN)
    clock = _Clock()
    both = train(plan, data, with_settings(own, {"adt.epochs": 2}), progress=clock).seconds
    an_epoch = clock.seconds_of_last_epoch()
    patient = own.adt.epochs if own.adt.patience is None else ceil(own.adt.patience / own.adt.validations) + 1
    return both + an_epoch * (min(patient, own.adt.epochs) - 2), both + an_epoch * (own.adt.epochs - 2)


class _Clock(Progress):
    """Notes when the steps of a training of two epochs were done."""

    def begin(self, label: str, total_steps: int) -> None:
        del label
        self._steps = total_steps

    def advance(self, step: int, logs: dict[str, Any]) -> None:
        del logs
        if step == self._steps // 2:
            self._first = time.perf_counter()
        self._last = time.perf_counter()

    def seconds_of_last_epoch(self) -> float:
        """Returns how long the validation of the first epoch and the steps of the second one took, without compilation."""
        return self._last - self._first


def trainings_of(model: str, policy: str, config: Config) -> int:
    """Returns how many trainings one row and seed is: several where the strength of the policy is chosen on validation."""
    own = settings_of(config, model, policy)
    return len({strength.label for strength in strengths(model, own)}) if is_automatic(policy, own) else 1


def counts(config: Config) -> tuple[dict[str, int], dict[str, int]]:
    """Returns how many trials the search of each row has, such as `gmf-t_ce`, and how many trainings of a row follow."""
    plain = [(model, PLAIN) for model in config.adt.models]
    trials = {f"{model}-{policy}": config.tune.trials for model, policy in [*plain, *searched_policies(config)]}
    trainings = {
        f"{model}-{policy}": config.adt.seeds if is_seeded(model, config) else 1
        for model in config.adt.models
        for policy in applicable(model, config.adt.policies, config)
    }
    return trials, trainings


def expected_of_models(config: Config, seconds: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Returns how many seconds all trials and trainings of each model take together, at least.

    Args:
        config: The settings of the study.
        seconds: Of one plain training of each model, at least and at most.
    """
    trials, trainings = counts(config)
    return {
        model: seconds[model][0]
        * sum(
            (trials.get(f"{model}-{policy}", 0) + trainings[f"{model}-{policy}"]) * trainings_of(model, policy, config)
            for policy in applicable(model, config.adt.policies, config)
        )
        for model in config.adt.models
    }


def slowest(expected: Mapping[str, float], room: float) -> dict[str, float]:
    """Returns the models that have to go, the slowest first, until the others take no longer than `room`; one stays.

    Args:
        expected: Seconds of each model.
        room: Seconds.
    """
    by_time = sorted(expected, key=lambda model: expected[model])
    while len(by_time) > 1 and sum(expected[model] for model in by_time) > room:
        by_time.pop()
    return {model: expected[model] for model in expected if model not in by_time}


def _varies(model: str, policy: str, config: Config) -> bool:
    return not is_automatic(policy, settings_of(config, model, policy)) and bool(
        search_space(of_policies(config), model, policy)
    )


def _source(policy: str, config: Config) -> str | None:
    source: str | None = build_settings("policy", POLICIES, policy, config)[0].settings_of
    return source


def is_seeded(model: str, config: Config) -> bool:
    """Returns whether another seed gives another model."""
    cls = closed_form(model, config)
    return cls is None or cls.seeded
