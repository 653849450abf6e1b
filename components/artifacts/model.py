"""A trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from tfadt.components.artifacts.base import Artifact
from tfadt.config import Config
from tfadt.config_loading import dump
from tfadt.registry import MODELS, check_name, resolve

if TYPE_CHECKING:
    from tfadt.models.recommender import Recommender
    from tfadt.training.plans import Plan
    from tfadt.training.stages import Trained


class Model(Artifact):
    """A trained model, and how its training went.

    Layout: `model.keras`; `training.json` (`model`, `policy`, `plan`, `seed`: which; `selection`, `best_step`,
    `selection_score`: how its checkpoint was chosen; `realised_drop_rate`; `without_negative`; `settings`: the sections
    `adt`, `model` and `policy` as they were used); `history.parquet` (one row an epoch: stage, loss, realised drop rate, and
    with feedback the quality of the dropped set); `logs/` (TensorBoard).
    """

    files = ("model.keras", "training.json", "history.parquet")

    def write(self, trained: Trained, plan: Plan, settings: Config) -> None:
        """Writes the model and the account of its training."""
        used = dump(settings)
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
                "settings": {section: used[section] for section in ("adt", "model", "policy")},
            },
        )
        trained.history.to_parquet(self.path / "history.parquet", index=False)
        trained.model.save(self.path / "model.keras")

    def read(self, compile: bool = True) -> Recommender:
        """Returns the model.

        Raises:
            DataError: If the file is corrupt.
            ConfigError: If the model is of no registered kind.
        """
        from tfadt.training.model_files import load_model

        kind = self.training()["model"]
        check_name("model", MODELS, kind)
        resolve("model", MODELS, kind, {})  # imports the class, so that Keras can find it
        return load_model(self.path / "model.keras", compile=compile)

    def training(self) -> dict[str, Any]:
        """Returns the account of the training."""
        return self.read_json("training.json", ("model", "policy", "seed", "selection", "best_step"))

    def history(self) -> pd.DataFrame:
        """Returns one row an epoch."""
        return pd.read_parquet(self.path / "history.parquet")

    def summary(self) -> dict[str, Any]:
        """Returns the account of the training, without the settings."""
        return {key: value for key, value in self.training().items() if key != "settings"}
