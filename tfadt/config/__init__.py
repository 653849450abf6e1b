"""Settings of every stage: one pydantic model a stage, with the documentation under each field.

`tfadt.config.loading` reads them from TOML. Importing this package does not import TensorFlow.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from tfadt.config.denoising import DenoisingConfig
from tfadt.config.ingest import IngestConfig
from tfadt.config.pipeline import DriftConfig, KubeflowConfig, PipelineConfig, ValidateDataConfig
from tfadt.config.presets import PRESETS
from tfadt.config.ranking import CollideConfig, EvaluateConfig
from tfadt.config.section import Section
from tfadt.config.serving import ExportConfig, PushConfig, VerifyConfig
from tfadt.config.study import StudyConfig
from tfadt.config.training import ADTConfig, FinetuneConfig, WarmupConfig
from tfadt.config.tuning import TuneConfig

__all__ = [
    "ADTConfig",
    "CollideConfig",
    "Config",
    "DenoisingConfig",
    "DriftConfig",
    "EvaluateConfig",
    "ExportConfig",
    "FinetuneConfig",
    "IngestConfig",
    "KubeflowConfig",
    "PipelineConfig",
    "PushConfig",
    "StudyConfig",
    "TuneConfig",
    "ValidateDataConfig",
    "VerifyConfig",
    "WarmupConfig",
]


_BASES = {"adt.objective", "adt.negatives"}  # what a recipe of a preset is made for


class Config(Section):
    """A whole run: one section a stage, and the settings of each model and policy by name."""

    ingest: IngestConfig = IngestConfig()
    validate_data: ValidateDataConfig = ValidateDataConfig()
    drift: DriftConfig = DriftConfig()
    warmup: WarmupConfig = WarmupConfig()
    adt: ADTConfig = ADTConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    denoising: DenoisingConfig = DenoisingConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    collide: CollideConfig = CollideConfig()
    tune: TuneConfig = TuneConfig()
    study: StudyConfig = StudyConfig()
    export: ExportConfig = ExportConfig()
    verify: VerifyConfig = VerifyConfig()
    push: PushConfig = PushConfig()
    pipeline: PipelineConfig = PipelineConfig()
    kubeflow: KubeflowConfig = KubeflowConfig()
    model: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of a model, such as `[model.gmf] embedding_dim = 32`."""
    policy: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of a policy, such as `[policy.t_ce] max_drop_rate = 0.1`."""
    method: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of one model, or of one model under one policy, alone, under their own names: `[method.gmf] "adt.l2" = 0.1`,
    `[method.gmf-t_ce] "adt.learning_rate" = 0.003`. They win over the others, and may be of `adt`, `model` and `policy`."""

    @model_validator(mode="after")
    def _fill_from_preset(self) -> Config:
        """Gives what was not set the preset's value."""
        preset, given = PRESETS[self.adt.preset], self.adt.model_fields_set
        left = {name: value for name, value in preset["adt"].items() if name not in given}
        filled: dict[str, Any] = {"adt": self.adt.model_copy(update=left)}
        filled["method"] = _merged(_recipes(preset["method"], given, self.method), self.method)
        for section in ("model", "policy"):
            filled[section] = _merged(preset[section], getattr(self, section))
        self.__dict__.update(filled)  # the fields are frozen for everybody else
        return self


def _recipes(
    preset: dict[str, dict[str, Any]], given: set[str], own: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Returns a preset's settings of single models without those of `adt` that are given for all models, which win.

    A recipe is made for its objective and negatives: where other ones are given, for all models or its own, nothing of it
    is left.
    """
    if {"objective", "negatives"} & given:
        return {}
    names = {f"adt.{name}" for name in given}
    kept = {model: recipe for model, recipe in preset.items() if not _BASES & own.get(model, {}).keys()}
    return {model: {k: v for k, v in recipe.items() if k not in names} for model, recipe in kept.items()}


def _merged(below: dict[str, dict[str, Any]], above: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns settings by name, those `above` winning; names of which nothing is set are left out."""
    both = {name: {**below.get(name, {}), **above.get(name, {})} for name in {**below, **above}}
    return {name: settings for name, settings in both.items() if settings or name in above}
