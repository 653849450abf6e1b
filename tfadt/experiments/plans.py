"""Which trainings a run has, checked before anything is trained."""

from __future__ import annotations

from tfadt.config import Config
from tfadt.config.training import check_plan
from tfadt.errors import ConfigError, did_you_mean
from tfadt.experiments.run import is_floor
from tfadt.registry import MODELS, PLAIN, POLICIES
from tfadt.training.plan import (
    ADT_ALONE,
    Plan,
    applicable,
    build_settings,
    check_model,
    check_training,
    is_seeded,
    settings_of,
)


def plans(config: Config) -> list[Plan]:
    """Returns the trainings of a run, seed after seed.

    Raises:
        ConfigError: If a model, a policy, one of their settings or a training is unknown, or colliding inference is asked
            for without a training that it can build on.
    """
    methods = _methods(config)
    for section, registry, names in (
        ("model", MODELS, [*config.adt.models, *(model for model, _, _ in methods)]),
        ("policy", POLICIES, [*config.adt.policies, *(policy for _, policy, _ in methods)]),
    ):
        for name in dict.fromkeys([*names, *getattr(config, section)]):
            build_settings(section, registry, name, config)
    for name in dict.fromkeys(model for model, _, _ in methods):
        check_model(name, config)
    if config.collide.enabled and not any({"warmup", "adt"} <= set(stages) for _, _, stages in methods):
        raise ConfigError(
            "Setting 'collide.enabled': colliding inference needs a training with warm-up and ADT, such as "
            f"adt.plans=warmup+adt. Received: {', '.join(dict.fromkeys('+'.join(stages) for _, _, stages in methods))}."
        )
    known = [*MODELS, *(f"{model}-{policy}" for model, policy, _ in methods)]
    for name in config.method:
        if name not in known:
            raise ConfigError(f"Unknown section 'method.{name}'.{did_you_mean(name, known)}")
    for model, policy, stages in methods:
        check_training(model, policy, stages, settings_of(config, model, policy))
    seeds = range(config.adt.seed, config.adt.seed + config.adt.seeds)
    return [
        Plan(model, policy, seed, stages)
        for seed in seeds
        for model, policy, stages in methods
        if seed == config.adt.seed or is_seeded(model)
    ]


def _methods(config: Config) -> list[tuple[str, str, tuple[str, ...]]]:
    """Returns model, policy and stages of each training."""
    adt = config.adt
    found = [(m, p, plan) for m in adt.models for p in applicable(m, adt.policies, config) for plan in adt.plans]
    if adt.trainings:
        found = [_parse(training) for training in adt.trainings]
    # Without ADT no policy takes part: one training is enough.
    methods = [(m, p if "adt" in plan.split("+") else PLAIN, tuple(plan.split("+"))) for m, p, plan in found]
    # The floor first: every report, also one in the midst of the run, is read against it.
    return sorted(dict.fromkeys(methods), key=lambda method: not is_floor(*method))


def _parse(training: str) -> tuple[str, str, str]:
    model, *rest = training.split("-")
    policy, plan = [*rest, ADT_ALONE][:2] if rest else ("", "")
    try:
        if not 1 <= len(rest) <= 2:
            raise ConfigError("expected MODEL-POLICY or MODEL-POLICY-PLAN, such as gmf-t_ce")
        return model, policy, check_plan(plan)
    except ConfigError as error:
        raise ConfigError(f"Setting 'adt.trainings': {error}. Received: '{training}'.") from error
