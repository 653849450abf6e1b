"""A trained model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tfadt.components.artifacts.base import Artifact
from tfadt.config import Config, EvaluateConfig
from tfadt.config_loading import dump, load_config
from tfadt.registry import MODELS

if TYPE_CHECKING:
    from tfadt.data.interactions import InteractionData
    from tfadt.evaluation.ranking import RankingEvaluator
    from tfadt.models.recommender import Recommender
    from tfadt.training.plans import Plan
    from tfadt.training.runs import Run
    from tfadt.training.stages import Trained


class Model(Artifact):
    """A model after a stage of training, and how that and the stages before it went.

    Layout: `model.keras`; `training.json` (`model`, `policy`, `plan`, `seed`: which, after which stages; `selection`,
    `best_step`, `selection_score`: how its checkpoint was chosen; `realised_drop_rate`; `without_negative`; `seconds`;
    `settings`: the sections that training depends on, as they were used); `history.parquet` (one row an epoch: stage, loss,
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
        given = dump(settings)
        used = {section: given[section] for section in (stage, "adt", "model", "policy")}
        if earlier is not None:
            before = earlier.training()
            if stage != "adt":
                plan = replace(plan, policy=before["policy"])
            plan = replace(plan, stages=(*before["plan"].split("+"), stage))
            # The settings of each stage are those that it had itself.
            used = {**before["settings"], **({stage: used[stage]} if stage != "adt" else used)}
            trained = replace(
                trained,
                history=pd.concat([earlier.history(), trained.history], ignore_index=True),
                without_negative=max(before["without_negative"], trained.without_negative),
                seconds=before["seconds"] + trained.seconds,
            )
        used = {**used, "adt": {**used["adt"], "plans": [plan.label]}}
        self.write_json(
            "training.json",
            {
                "model": plan.model,
                "policy": plan.policy,
                "plan": plan.label,
                "seed": plan.seed,
                "selection": settings.adt.selection,
                "best_step": trained.best_step,
                "selection_score": trained.selection_score,
                "realised_drop_rate": trained.drop_rate,
                "without_negative": trained.without_negative,
                "seconds": round(trained.seconds, 3),
                "settings": used,
            },
        )
        trained.history.to_parquet(self.path / "history.parquet", index=False)
        trained.model.save(self.file)

    def read(self) -> Recommender:
        """Returns the model, compiled as it was.

        Raises:
            DataError: If the file is corrupt.
            ConfigError: If the model is of no registered kind.
        """
        from tfadt.training.model_files import load_model

        MODELS.check(self.training()["model"])
        return load_model(self.file)

    def training(self) -> dict[str, Any]:
        """Returns the account of the training."""
        return self.read_json("training.json", ("model", "policy", "plan", "seed", "selection", "best_step", "settings"))

    def settings(self, data: InteractionData, evaluation: EvaluateConfig) -> Config:
        """Returns the settings that the data and the model were made with, and those of the evaluation."""
        made_with = {"ingest": data.manifest.get("settings", {}), **self.training()["settings"]}
        return load_config(base={**made_with, "evaluate": evaluation.model_dump(mode="json")})

    def as_run(self, evaluator: RankingEvaluator) -> Run:
        """Evaluates the model; returns it as a row of results."""
        from tfadt.training.runs import Run

        training = self.training()
        del training["settings"]
        return Run(evaluation=evaluator(self.read()), **training)

    def history(self) -> pd.DataFrame:
        """Returns one row an epoch."""
        return pd.read_parquet(self.path / "history.parquet")

    def summary(self) -> dict[str, Any]:
        """Returns the account of the training, without the settings."""
        return {key: value for key, value in self.training().items() if key != "settings"}
