"""The search pipeline: as the training pipeline, with the hyperparameters that a search finds first."""

from __future__ import annotations

from tfadt.components.tune import tune
from tfadt.config import Config
from tfadt.pipelines.adt import adt_pipeline, data_steps, model_steps, sections
from tfadt.pipelines.pipeline import Pipeline


def tune_pipeline(name: str, config: Config) -> Pipeline:
    """Returns the search pipeline of a configuration: ... tune, then adt with the best hyperparameters ...

    Args:
        name: What records call it.
        config: The settings; one model, one policy and one seed.

    Raises:
        ConfigError: If several are named.
    """
    data, validated = data_steps(config)
    settings = {
        **sections(config, "tune", "warmup", "adt", "collide", "model", "policy"),
        "evaluate": {
            "k": list(config.evaluate.k),
            "select_k": config.evaluate.select_k,
            "valid_users": config.evaluate.valid_users,
        },
    }
    given = {"interactions": data["interactions"], "extra_feedback": data["extra_feedback"]}
    tuned = tune(**given, settings=settings).after(validated)
    return Pipeline(name, [data, validated, tuned, *model_steps(config, data, validated, tuned)])


def pipeline_from_config(name: str, config: Config) -> Pipeline:
    """Returns the search pipeline where `pipeline.search` is on, else the training pipeline.

    Raises:
        ConfigError: If the configuration names several models, policies or seeds.
    """
    return tune_pipeline(name, config) if config.pipeline.search else adt_pipeline(name, config)
