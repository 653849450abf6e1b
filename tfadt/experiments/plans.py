"""Which trainings a run has, checked before anything is trained."""

from __future__ import annotations

from tfadt.config import ADTConfig, Config
from tfadt.config.loading import settings_of
from tfadt.config.training import ADT_ALONE, check_plan
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, did_you_mean
from tfadt.experiments.run import is_floor
from tfadt.registry import MODELS, PLAIN, POLICIES, is_out_of_reach
from tfadt.training.plan import Plan, applicable, build_settings, check_model, check_training, is_seeded, unfit


def reachable(config: Config, data: InteractionData) -> Config:
    """Returns the settings without the oracle of the default policies, where no feedback tells it what is clean.

    An oracle that was asked for stays, and is refused with what it needs.
    """
    if data.train.false_positive is not None or config.adt.policies != ADTConfig.model_fields["policies"].default:
        return config
    policies = tuple(name for name in config.adt.policies if not is_out_of_reach(name))
    return config.model_copy(update={"adt": config.adt.model_copy(update={"policies": policies})})


def plans(config: Config) -> list[Plan]:
    """Returns the trainings of a run, seed after seed.

    Raises:
        ConfigError: If a model, a policy, one of their settings or a training is unknown, or colliding inference is asked
            for without a training that it can build on.
    """
    methods = planned_methods(config)
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


def planned_methods(config: Config) -> list[tuple[str, str, tuple[str, ...]]]:
    """Returns model, policy and stages of each training, whatever its seed."""
    adt = config.adt
    # Of the models that nobody named, those that the plans and the start suit.
    anybody = adt.models == ADTConfig.model_fields["models"].default
    found = [
        (m, p, plan)
        for m in adt.models
        for p in applicable(m, adt.policies, config)
        for plan in adt.plans
        if not (anybody and unfit(m, p, plan.split("+"), config))
    ]
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
