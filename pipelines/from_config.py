"""Which pipeline a configuration describes."""

from __future__ import annotations

from tfadt.config import Config
from tfadt.pipelines.adt import adt_pipeline
from tfadt.pipelines.pipeline import Pipeline
from tfadt.pipelines.tune import tune_pipeline


def pipeline_from_config(name: str, config: Config) -> Pipeline:
    """Returns the search pipeline where `pipeline.search` is on, else the training pipeline.

    Raises:
        ConfigError: If the configuration names several models, policies or seeds.
    """
    return tune_pipeline(name, config) if config.pipeline.search else adt_pipeline(name, config)
