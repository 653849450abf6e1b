"""Reads back what a run left: its configuration, its data and its models."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfadt.config import Config
from tfadt.data import artifact
from tfadt.data.interactions import InteractionData
from tfadt.errors import DataError, did_you_mean, first_line
from tfadt.models.recommender import Recommender
from tfadt.registry import MODELS
from tfadt.training.model_files import load_model
from tfadt.training.runs import ADT_ALONE, training_name


@dataclass(frozen=True)
class SavedRun:
    """The folder of a finished run.

    Attributes:
        folder: Where it lies.
        results: What `results.json` holds.
        config: Its settings.
        data: Its data set, fingerprint checked.
    """

    folder: Path
    results: dict[str, Any]
    config: Config
    data: InteractionData

    @classmethod
    def open(cls, folder: Path) -> SavedRun:
        """Reads a run's folder.

        Raises:
            DataError: If it is not the folder of a finished run, or its data were changed.
        """
        path = Path(folder) / "results.json"
        if not path.is_file():
            raise DataError(f"{folder} is not the folder of a finished run: it has no results.json.")
        try:
            results = json.loads(path.read_text(encoding="utf-8"))
            config = Config.model_validate(results["config"])
            whole = isinstance(results["runs"], list)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is not the result of a run: {first_line(error)}") from error
        if not whole:
            raise DataError(f"{path} is not the result of a run: 'runs' is not a list.")
        unfinished = sorted(path.name for path in Path(folder).glob("checkpoints/*"))
        if unfinished:
            warnings.warn(
                f"The run {folder} was cut in the midst of {unfinished[0]}. Go on with: tfadt run --resume {folder}",
                stacklevel=2,
            )
        return cls(Path(folder), results, config, artifact.load(Path(folder) / "data"))

    @property
    def names(self) -> list[str]:
        """Names of the trained models, such as `gmf-t_ce-0`, in the order of the results."""
        trained = [r for r in self.results["runs"] if r["policy"] is not None]
        return [training_name(r["model"], r["policy"], r.get("plan", ADT_ALONE), r["seed"]) for r in trained]

    def row(self, name: str) -> dict[str, Any]:
        """Returns what the results say of a trained model.

        Raises:
            DataError: If there is none of that name.
        """
        rows = dict(zip(self.names, (r for r in self.results["runs"] if r["policy"] is not None), strict=True))
        if name not in rows:
            raise DataError(f"{self.folder} has no model '{name}'.{did_you_mean(name, rows)}")
        row: dict[str, Any] = rows[name]
        return row

    def best(self, stage: str | None = None) -> str:
        """Returns the name of the best model: by validation recall where that selected, else by test recall.

        Args:
            stage: Only trainings that had this stage count; default all.

        Raises:
            DataError: If none had it.
        """
        metric = f"recall@{self.config.evaluate.k[0]}"
        by_validation = self.config.adt.selection == "val_recall"
        rows = {name: self.row(name) for name in self.names}
        if stage is not None:
            rows = {name: r for name, r in rows.items() if stage in r.get("plan", ADT_ALONE).split("+")}
        if not rows:
            raise DataError(f"{self.folder} has no model that was trained in the stage '{stage}' (adt.plans).")
        scores = {name: r["selection_score"] if by_validation else r["metrics"][metric] for name, r in rows.items()}
        return max(scores, key=lambda name: scores[name] or 0.0)

    def load_model(self, name: str) -> Recommender:
        """Returns a trained model, compiled as it was.

        Raises:
            DataError: If there is none of that name, or its file is missing or corrupt.
        """
        kind = self.row(name)["model"]
        MODELS.resolve(kind)  # imports the class, so that Keras can find it
        return load_model(self.folder / "models" / f"{name}.keras")

    def warmup_space(self, name: str) -> np.ndarray:
        """Returns the users' vectors after warm-up, float32 `[num_users, d]`, in which neighbours are looked for.

        Raises:
            DataError: If the training had no warm-up, or the file is missing or corrupt.
        """
        path = self.folder / "warmup" / f"{name}.npy"
        if not path.is_file():
            raise DataError(
                f"{self.folder} has no users' vectors after warm-up for {name}. Expected a training with that stage "
                "(adt.plans=warmup+adt)."
            )
        try:
            space: np.ndarray = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        if len(space) != self.data.num_users:
            raise DataError(f"{path} must have a row for each of the {self.data.num_users} users. Received: {len(space)}.")
        return space
