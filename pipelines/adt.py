"""The training pipeline: ingest, validate_data, adt, evaluate, export, verify, push."""

from __future__ import annotations

from typing import Any

from tfadt.components.adt import adt
from tfadt.components.component import Step
from tfadt.components.evaluate import evaluate
from tfadt.components.export import export
from tfadt.components.ingest import ingest
from tfadt.components.push import push
from tfadt.components.validate_data import validate_data
from tfadt.components.verify import verify
from tfadt.config import Config
from tfadt.config_loading import dump
from tfadt.errors import ConfigError
from tfadt.pipelines.pipeline import Pipeline

_PLAIN = "standard"


def adt_pipeline(name: str, config: Config) -> Pipeline:
    """Returns the training pipeline of a configuration.

    Args:
        name: What records call it.
        config: The settings; one model, one policy and one seed.

    Raises:
        ConfigError: If several are named.
    """
    data, validated = data_steps(config)
    return Pipeline(name, [data, validated, *model_steps(config, data, validated)])


def data_steps(config: Config) -> tuple[Step, Step]:
    """Returns the steps `ingest` and `validate_data`."""
    data = ingest(settings=config.ingest)
    return data, validate_data(interactions=data["interactions"], settings=config.validate_data)


def model_steps(config: Config, data: Step, validated: Step, tuned: Step | None = None) -> list[Step]:
    """Returns the steps from training to push.

    Args:
        config: The settings; one model, one policy and one seed.
        data: The step `ingest`.
        validated: The step `validate_data`, for which training waits.
        tuned: The step `tune`, whose hyperparameters training takes.

    Raises:
        ConfigError: If several models, policies or seeds are named.
    """
    _check_single(config)
    found = {} if tuned is None else {"hyperparameters": tuned["hyperparameters"]}
    settings = training_settings(config)
    given = {"interactions": data["interactions"], "extra_feedback": data["extra_feedback"]}
    trained = adt(**given, settings=settings, **found).after(validated)
    steps = [trained]
    plain = None
    if config.evaluate.blessing.baseline == _PLAIN:
        plain = adt.step("adt_plain", **given, settings=_plainly(settings)).after(validated)
        steps.append(plain)
    evaluated = evaluate(
        interactions=data["interactions"],
        model=trained["model"],
        plain=None if plain is None else plain["model"],
        settings=sections(config, "evaluate"),
    )
    made = {"interactions": data["interactions"], "model": trained["model"], "evaluation": evaluated["evaluation"]}
    exported = export(**made, settings=sections(config, "export", "evaluate"))
    verified = verify(**made, saved_model=exported["saved_model"], settings=sections(config, "verify", "evaluate"))
    pushed = push(**made, verified=verified["verified"], settings=sections(config, "push", "evaluate"))
    return [*steps, evaluated, exported, verified, pushed]


def sections(config: Config, *names: str) -> dict[str, Any]:
    """Returns some sections, every setting in them spelled out: what a step's settings are made of."""
    settings = dump(config)
    return {name: settings[name] for name in names}


def training_settings(config: Config) -> dict[str, Any]:
    """Returns what training depends on; of evaluation only the cut-off that selects checkpoints."""
    return {**sections(config, "warmup", "adt", "finetune", "model", "policy"), "evaluate": {"k": [config.evaluate.k[0]]}}


def _plainly(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of plain training: the baseline `standard`."""
    return {**settings, "adt": {**settings["adt"], "policies": [_PLAIN]}}


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
