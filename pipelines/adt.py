"""The training pipeline, from ingest and validate_data over training and evaluate to export, verify and push."""

from __future__ import annotations

from typing import Any

from tfadt.components.adt import adt
from tfadt.components.collide import collide
from tfadt.components.component import OutputRef, Step
from tfadt.components.drift import drift
from tfadt.components.earlier import earlier
from tfadt.components.evaluate import evaluate
from tfadt.components.export import export
from tfadt.components.finetune import finetune
from tfadt.components.ingest import ingest
from tfadt.components.push import push
from tfadt.components.validate_data import validate_data
from tfadt.components.verify import verify
from tfadt.components.warmup import warmup
from tfadt.config import CollideConfig, Config
from tfadt.config.denoising import is_automatic
from tfadt.config.loading import dump, settings_of
from tfadt.errors import ConfigError
from tfadt.pipelines.pipeline import Pipeline
from tfadt.registry import PLAIN

_OF_ADT_ALONE = {"policies", "epochs", "learning_rate"}


def adt_pipeline(name: str, config: Config) -> Pipeline:
    """Returns the training pipeline of a configuration.

    Args:
        name: What records call it.
        config: The settings; one model, one policy, one plan and one seed.

    Raises:
        ConfigError: If several are named.
    """
    data, validated = data_steps(config)
    return Pipeline(name, [data, validated, *model_steps(config, data, validated)])


def data_steps(config: Config) -> tuple[Step, Step]:
    """Returns the steps `ingest` and `validate_data`."""
    data = ingest(settings=config.ingest)
    collide_settings = CollideConfig(enabled=config.collide.enabled, neighbors=config.collide.neighbors)
    return data, validate_data(interactions=data["interactions"], settings=config.validate_data, collide=collide_settings)


def model_steps(config: Config, data: Step, validated: Step, tuned: Step | None = None) -> list[Step]:
    """Returns the steps from training to push.

    Args:
        config: The settings; one model, one policy, one plan and one seed.
        data: The step `ingest`.
        validated: The step `validate_data`, for which training waits.
        tuned: The step `tune`, whose hyperparameters training takes.

    Raises:
        ConfigError: If several models, policies, plans or seeds are named, or a search is to start from an earlier run.
    """
    _check_single(config)
    if tuned is None or "policy" not in config.tune.over:
        _check_strength(config)
    given = {"interactions": data["interactions"], "extra_feedback": data["extra_feedback"]}
    before = _earlier_steps(config, data, validated)
    begun = {"earlier_run": before[0]["earlier_run"]} if before else {}
    steps = _training_steps(config, given, begun, validated, tuned)
    trained, representation = _last_model(steps), next((s["representation"] for s in steps if s.name == "warmup"), None)
    plain = None
    if config.evaluate.blessing.baseline == PLAIN:
        settings = _plainly(training_settings(config))
        plain = adt.step("adt_plain", **given, **begun, **_found(tuned), settings=settings).after(validated)
        steps.append(plain)
    evaluated = evaluate(
        **given,
        model=trained,
        representation=representation,
        plain=None if plain is None else plain["model"],
        settings=config.evaluate,
    )
    steps.append(evaluated)
    run = evaluated["run"]
    if config.collide.enabled:
        if representation is None or "adt" not in config.adt.plans[0].split("+"):
            raise ConfigError(
                "Setting 'collide.enabled': colliding inference needs a training with warm-up and ADT, such as adt.plans = "
                f"['warmup+adt']. Received: {config.adt.plans[0]}."
            )
        steps.append(collide(run=run, settings=config.collide, **_found(tuned)))
        run = steps[-1]["collided"]
    exported = export(run=run, settings=config.export)
    verified = verify(run=run, saved_model=exported["saved_model"], settings=config.verify)
    drifted = before[1]["report"] if before else None
    pushed = push(
        run=run,
        evaluation=evaluated["evaluation"],
        verified=verified["verified"],
        drift=drifted,
        settings=config.push,
    )
    return [*before, *steps, exported, verified, pushed]


def _earlier_steps(config: Config, data: Step, validated: Step) -> list[Step]:
    """Returns the steps that find the run to go on from and put the data beside it; none where training starts anew."""
    start = config.adt.start_from
    if start is None and not config.pipeline.daily:
        return []
    if config.pipeline.search:
        raise ConfigError(
            "A search looks for a model's sizes, and weights fit one size only. Expected pipeline.search without "
            "pipeline.daily and adt.start_from (--from)."
        )
    found = earlier(interactions=data["interactions"], start_from=None if start is None else str(start)).after(validated)
    return [found, drift(interactions=data["interactions"], earlier_run=found["earlier_run"], settings=config.drift)]


def _training_steps(
    config: Config, given: dict[str, OutputRef], begun: dict[str, OutputRef], validated: Step, tuned: Step | None
) -> list[Step]:
    found = {**given, **_found(tuned)}
    settings = training_settings(config)
    steps: list[Step] = []
    for stage in config.adt.plans[0].split("+"):
        own = _of_stage(stage, settings) if tuned is None else settings
        if stage == "warmup":
            made = warmup(**found, **begun, settings=own)
        elif stage == "adt":
            first = {} if steps else begun
            made = adt(**found, **first, settings=own, warmed_up=_last_model(steps))
        elif steps:
            made = finetune(**found, settings=own, trained=_last_model(steps))
        else:
            raise ConfigError(f"A pipeline finetunes what it has trained. Expected adt+finetune. Received: {stage}.")
        steps.append(made.after(validated))
    return steps


def _found(tuned: Step | None) -> dict[str, OutputRef]:
    return {} if tuned is None else {"hyperparameters": tuned["hyperparameters"]}


def _last_model(steps: list[Step]) -> OutputRef | None:
    return steps[-1]["model"] if steps else None


def sections(config: Config, *names: str) -> dict[str, Any]:
    """Returns some sections, every setting in them spelled out: what a step's settings are made of."""
    settings = dump(config)
    return {name: settings[name] for name in names}


def training_settings(config: Config) -> dict[str, Any]:
    """Returns what training depends on: no other model or policy, and of evaluation what selects."""
    settings = sections(config, "warmup", "adt", "finetune", "model", "policy")
    settings["adt"]["start_from"] = None  # which run it is tells the step `earlier`
    for section, chosen in (("model", config.adt.models), ("policy", config.adt.policies)):
        settings[section] = {name: value for name, value in settings[section].items() if name in chosen}
    ks = config.evaluate.k
    selecting = {ks[0], ks[-1]} if config.evaluate.select_k is None else {config.evaluate.select_k}
    evaluate = {"k": sorted(selecting), "valid_users": config.evaluate.valid_users}
    return {**settings, "evaluate": evaluate}


def _of_stage(stage: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Returns what a stage depends on: what is only ADT's own is no reason to warm up or finetune again."""
    adt_section = {name: value for name, value in settings["adt"].items() if stage == "adt" or name not in _OF_ADT_ALONE}
    own = {"adt": {**adt_section, "plans": [stage]}, "model": settings["model"], "evaluate": settings["evaluate"]}
    if stage == "adt":
        return {**own, "policy": settings["policy"]}
    return {**own, "adt": {**own["adt"], "policies": [PLAIN]}, stage: settings[stage]}


def _plainly(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of plain training: the baseline `standard`."""
    return _of_stage("adt", {**settings, "adt": {**settings["adt"], "policies": [PLAIN]}, "policy": {}})


def _check_strength(config: Config) -> None:
    if is_automatic(config.adt.policies[0], settings_of(config, config.adt.models[0], config.adt.policies[0])):
        raise ConfigError(
            "Setting 'denoising.strength': a pipeline trains once, so it chooses no strength of noise_model on validation. "
            "Expected fixed (the policy's defaults), values of policy.noise_model.power and gamma, or a search for them "
            "(pipeline.search). Received: auto."
        )


def _check_single(config: Config) -> None:
    for name in ("models", "policies", "plans"):
        chosen = getattr(config.adt, name)
        if len(chosen) > 1:
            raise ConfigError(
                f"A pipeline trains one model under one policy with one seed, and `tfadt run` compares several. Expected "
                f"one of adt.{name}. Received: {', '.join(chosen)}."
            )
    if config.adt.trainings:
        raise ConfigError(
            "A pipeline trains one model under one policy, named by adt.models, adt.policies and adt.plans. Expected no "
            f"adt.trainings. Received: {', '.join(config.adt.trainings)}."
        )
    if config.adt.seeds > 1:
        raise ConfigError(f"A pipeline trains with one seed: expected adt.seeds = 1. Received: {config.adt.seeds}.")
