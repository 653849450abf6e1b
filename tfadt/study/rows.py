"""Which rows a study has, and whose settings they train with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from math import prod

from tfadt.config import Config
from tfadt.config.denoising import is_automatic
from tfadt.config.loading import settings_of, with_settings
from tfadt.config.training import ADT_ALONE, method_name
from tfadt.data.interactions import InteractionData
from tfadt.denoising.base import DenoisingPolicy
from tfadt.denoising.click_weights import ClickWeights
from tfadt.errors import ConfigError, DataError
from tfadt.experiments.plans import planned_methods
from tfadt.experiments.strength import strengths
from tfadt.registry import PLAIN, POLICIES, is_control, is_out_of_reach
from tfadt.search_space import Choices
from tfadt.training.plan import build_settings, closed_form, is_seeded, make_policy
from tfadt.tuning.space import search_space

Row = tuple[str, str]
"""A model and a policy, whose trainings share their settings, whatever their stages."""

Seconds = Mapping[str, tuple[float, float]]
"""Of one plain training of each model, at least and at most."""


def spelt_out(config: Config, without: Container[str] = ()) -> Config:
    """Returns the settings with every training under its own name, but for those of the models and policies `without`.

    Raises:
        ConfigError: If none is left.
    """
    kept = [each for each in planned_methods(config) if each[0] not in without and each[1] not in without]
    if not kept:
        raise ConfigError("The data allow none of the trainings that the study asks for (adt.policies, adt.trainings).")
    names = [method_name(model, policy, "+".join(stages)) for model, policy, stages in kept]
    return with_settings(config, {"adt.plans": [ADT_ALONE], "adt.trainings": names})


def rows(config: Config) -> list[Row]:
    """Returns the rows of a study."""
    return list(dict.fromkeys((model, policy) for model, policy, _ in planned_methods(config)))


def models(config: Config) -> list[str]:
    """Returns the models of a study."""
    return list(dict.fromkeys(model for model, _ in rows(config)))


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


def searched_policies(config: Config) -> list[Row]:
    """Returns for which models and policies settings of the policy are searched.

    These are the policies that have any, but for plain training and for controls that take another policy's settings.
    """
    return [row for row in rows(config) if row[1] != PLAIN and taken_over(*row, config) == row and _varies(*row, config)]


def taken_over(model: str, policy: str, config: Config) -> Row:
    """Returns the search whose settings a row trains with: its own, or that of the policy whose settings are its."""
    source = build_settings("policy", POLICIES, policy, config)[0].settings_of
    return (model, source) if any(source == other for _, other in rows(config)) else (model, policy)


def spared_controls(config: Config, scores: Mapping[str, float]) -> list[Row]:
    """Returns the rows of controls that `study.controls` spares the models that are trained by steps, all but one.

    Args:
        config: The settings of the study.
        scores: How well the plain training of each model ranks validation; the controls of the largest stay. Before that is
            known, how long a training takes: no less is then expected than will follow.
    """
    by_steps = [model for model in scores if closed_form(model, config) is None]
    if config.study.controls == "all" or not by_steps:
        return []
    best = max(by_steps, key=lambda model: scores[model])
    return [
        (model, policy)
        for model, policy in rows(config)
        if model in by_steps and model != best and (is_control(policy) or is_out_of_reach(policy))
    ]


def of_models(config: Config) -> Config:
    """Returns the settings of the search for the settings of models.

    The number of negatives does not vary if one of the policies, which train with the winner, would not try others.
    """
    key = "adt.num_negatives"
    every = rows(config)
    varied = {row: key in search_space(config, *row) for row in every}
    if all(varied[row] or not varied.get((row[0], PLAIN), False) for row in every):
        return config
    return with_settings(
        config, {"tune.space": {**config.tune.space, "adt": {**config.tune.space.get("adt", {}), "num_negatives": []}}}
    )


def of_policies(config: Config) -> Config:
    """Returns the settings of the search for the settings of policies: nothing else varies."""
    space = {"policy": config.tune.space["policy"]} if "policy" in config.tune.space else {}
    return with_settings(config, {"tune.over": ["policy"], "tune.space": space})


def trainings_of(model: str, policy: str, config: Config) -> int:
    """Returns how many trainings one row and seed is: several where the strength of the policy is chosen on validation."""
    own = settings_of(config, model, policy)
    return len({strength.label for strength in strengths(model, own)}) if is_automatic(policy, own) else 1


def counts(config: Config, scores: Mapping[str, float]) -> tuple[dict[str, int], dict[str, int]]:
    """Returns how many trials the search of each row has, such as `gmf-t_ce`, and how many trainings of a row follow.

    Args:
        config: The settings of the study.
        scores: As in `spared_controls`.
    """
    trials = {f"{model}-{PLAIN}": _trials(of_models(config), model, PLAIN) for model in models(config)}
    trials |= {f"{row[0]}-{row[1]}": _trials(of_policies(config), *row) for row in searched_policies(config)}
    trainings: Counter[str] = Counter()
    spared = spared_controls(config, scores)
    for model, policy, _ in planned_methods(config):
        if (model, policy) not in spared:
            trainings[f"{model}-{policy}"] += config.adt.seeds if is_seeded(model) else 1
    return trials, dict(trainings)


def least(seconds: Seconds) -> dict[str, float]:
    """Returns the seconds of one plain training of each model, at least."""
    return {model: bounds[0] for model, bounds in seconds.items()}


def _trials(config: Config, model: str, policy: str) -> int:
    """Returns how many trials a search has: no more than there are combinations."""
    tried = search_space(config, model, policy).values()
    combinations = prod(len(each.values) for each in tried if isinstance(each, Choices))
    return min(config.tune.trials, combinations) if all(isinstance(each, Choices) for each in tried) else config.tune.trials


def expected_of_models(config: Config, seconds: Seconds) -> dict[str, float]:
    """Returns how many seconds all trials and trainings of each model take together, at least.

    Args:
        config: The settings of the study.
        seconds: What a training takes.
    """
    trials, trainings = counts(config, least(seconds))
    expected = dict.fromkeys(models(config), 0.0)
    for model, policy in rows(config):
        name = f"{model}-{policy}"
        times = trials.get(name, 0) + trainings.get(name, 0)
        expected[model] += seconds[model][0] * times * trainings_of(model, policy, config)
    return expected


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
