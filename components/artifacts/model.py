"""A trained model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tfadt.components.artifacts.base import Artifact
from tfadt.config import Config, EvaluateConfig
from tfadt.config.loading import dump, load_config
from tfadt.registry import MODELS

if TYPE_CHECKING:
    from tfadt.data.interactions import InteractionData
    from tfadt.evaluation.ranking import RankingEvaluator
    from tfadt.experiments.run import Run
    from tfadt.models.recommender import Recommender
    from tfadt.training.plan import Plan
    from tfadt.training.stages import Trained


class Model(Artifact):
    """A model after a stage of training, and how that and the stages before it went.

    Layout: `model.keras`; `training.json` (`run`: the record of the training, as `results.json` has it; `settings`: the
    sections that training depends on, as they were used); `history.parquet` (one row an epoch: stage, loss,
    realised drop rate, and with feedback the quality of the dropped set); `logs/` (TensorBoard).
    """

    files = ("model.keras", "training.json", "history.parquet")

    @property
    def file(self) -> Path:
        """The file of the model itself."""
        return self.path / "model.keras"

    def write(self, stage: str, trained: Trained, plan: Plan, settings: Config, earlier: Model | None) -> None:
        """Writes the model and the account of its training.

        Args:
            stage: The stage that it was trained in.
            trained: What that gave.
            plan: Which model, policy and seed; after ADT the policy is that of the earlier model.
            settings: What it was trained with.
            earlier: The model that it went on from; its account becomes part of this one.
        """
        from tfadt.experiments.run import Run

        given = dump(settings)
        used = {section: given[section] for section in (stage, "adt", "model", "policy")}
        if earlier is not None:
            before = earlier.record()
            if stage != "adt":
                plan = replace(plan, policy=str(before.policy))
            plan = replace(plan, stages=(*before.stages, stage))
            # The settings of each stage are those that it had itself.
            used = {**earlier.used_settings(), **({stage: used[stage]} if stage != "adt" else used)}
            trained = replace(
                trained,
                history=pd.concat([earlier.history(), trained.history], ignore_index=True),
                without_negative=max(before.without_negative, trained.without_negative),
                seconds=before.seconds + trained.seconds,
                drop_rate=before.realised_drop_rate + trained.drop_rate,
                adt_step=before.adt_step if trained.adt_step is None else trained.adt_step,
            )
        used = {**used, "adt": {**used["adt"], "plans": [plan.label]}}
        run = Run.of(plan, trained)
        self.write_json("training.json", {"run": run.as_dict(), "settings": used})
        trained.history.to_parquet(self.path / "history.parquet", index=False)
        trained.model.save(self.file)

    def read(self) -> Recommender:
        """Returns the model, compiled as it was.

        Raises:
            DataError: If the file is corrupt.
            ConfigError: If the model is of no registered kind.
        """
        from tfadt.training.model_files import load_model

        MODELS.check(self.record().model)
        return load_model(self.file)

    def record(self) -> Run:
        """Returns the record of the training, without metrics of the test."""
        from tfadt.experiments.run import Run

        return Run.from_dict(self._training()["run"], self.path / "training.json")

    def used_settings(self) -> dict[str, Any]:
        """Returns the sections that training depends on, as they were used."""
        settings: dict[str, Any] = self._training()["settings"]
        return settings

    def _training(self) -> dict[str, Any]:
        return self.read_json("training.json", ("run", "settings"))

    def settings(self, data: InteractionData, evaluation: EvaluateConfig) -> Config:
        """Returns the settings that the data and the model were made with, and those of the evaluation."""
        made_with = {"ingest": data.manifest.get("settings", {}), **self.used_settings()}
        return load_config(base={**made_with, "evaluate": evaluation.model_dump(mode="json")})

    def as_run(self, data: InteractionData, config: Config, evaluator: RankingEvaluator) -> Run:
        """Evaluates the model; returns it as a row of results."""
        from tfadt.experiments.trainings import measure

        return measure(self.record(), self.read(), data, config, evaluator)

    def history(self) -> pd.DataFrame:
        """Returns one row an epoch."""
        return pd.read_parquet(self.path / "history.parquet")

    def summary(self) -> dict[str, Any]:
        """Returns the account of the training, without the settings."""
        return self._training()["run"]
