"""Reads back what a run left: its configuration, its data, its records and its models."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from tfadt.config import Config
from tfadt.data import artifact
from tfadt.data.interactions import InteractionData
from tfadt.errors import DataError, did_you_mean, reading
from tfadt.experiments.choice import deployed
from tfadt.experiments.folder import check_file
from tfadt.experiments.layout import RESULTS, Layout
from tfadt.experiments.run import Run, check_schema
from tfadt.models.recommender import Recommender
from tfadt.registry import MODELS, is_out_of_reach
from tfadt.training.model_files import load_model


@dataclass(frozen=True)
class SavedRun:
    """The folder of a finished run.

    Attributes:
        folder: Where it lies.
        results: What `results.json` holds.
        config: Its settings.
        data: Its data set, fingerprint checked.
        runs: The records in `results.json`, the most popular items first.
    """

    folder: Path
    results: dict[str, Any]
    config: Config
    data: InteractionData
    runs: tuple[Run, ...]

    @classmethod
    def open(cls, folder: Path) -> SavedRun:
        """Reads a run's folder.

        Raises:
            DataError: If it is not the folder of a finished run, one of another schema, or its data were changed.
        """
        layout = Layout(folder)
        path = layout.out / RESULTS
        if not path.is_file():
            why = f"it has no {RESULTS}" if folder.is_dir() else "there is no such folder"
            cut = f" Go on with: tfadt run --resume {quote(str(folder))}" if layout.training("").parent.is_dir() else ""
            raise DataError(f"{folder} is not the folder of a finished run: {why}.{cut}")
        with reading(path, "is not the result of a run"):
            results = json.loads(path.read_text(encoding="utf-8"))
            check_schema(results, path)
            config = Config.model_validate(results["config"])
            fingerprint = results["data"]["fingerprint"]
            records = list(results["runs"])
        runs = tuple(Run.from_dict(record, f"{path}: runs[{n}]") for n, record in enumerate(records))
        begun = sorted(each.name for each in layout.checkpoints("").glob("*"))
        unfinished = [name for name in begun if not layout.training(name).is_file()]
        if unfinished:
            warnings.warn(
                f"The run {folder} was cut in the midst of {unfinished[0]}. Go on with: "
                f"tfadt run --resume {quote(str(folder))}",
                stacklevel=2,
            )
        data = artifact.load(layout.data)
        if data.manifest.get("fingerprint") != fingerprint:
            raise DataError(
                f"{layout.data} is not the data set of this run. Expected the fingerprint {fingerprint}. "
                f"Received: {data.manifest.get('fingerprint')}."
            )
        return cls(layout.out, results, config, data, runs)

    @property
    def layout(self) -> Layout:
        """The places in the folder."""
        return Layout(self.folder)

    @property
    def trained(self) -> dict[str, Run]:
        """The records of the models in the folder by name, such as `gmf-t_ce-0`, in the order of the results."""
        return {run.name: run for run in self.runs if run.has_model}

    @property
    def names(self) -> list[str]:
        """Names of the models."""
        return list(self.trained)

    def user_codes(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the codes of user ids, int64 `[U]`.

        Raises:
            DataError: If training does not have one of the users.
        """
        codes = self.data.users.encode(list(ids))
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            more = f", and {len(unknown) - 1:,} others do not" if len(unknown) > 1 else ""
            raise DataError(
                f"User '{ids[unknown[0]]}' does not occur in the training data of {self.folder} "
                f"({self.data.num_users:,} users){more}."
            )
        return codes

    def run(self, name: str) -> Run:
        """Returns the record of a trained model.

        Raises:
            DataError: If there is none of that name.
        """
        if name not in self.trained:
            raise DataError(f"{self.folder} has no model '{name}'.{did_you_mean(name, self.trained)}")
        return self.trained[name]

    def best(self, stage: str | None = None) -> str:
        """Returns the name of the model that the run's page says to deploy (`tfadt.experiments.choice.deployed`).

        An oracle or a control is chosen only where there is nothing else, by recall on validation.

        Args:
            stage: Only trainings that had this stage count; default all.

        Raises:
            DataError: If none had it, or there is more than one and no validation to choose by.
        """
        found = [run for run in self.trained.values() if stage is None or stage in run.stages]
        if not found:
            raise DataError(f"{self.folder} has no model that was trained in the stage '{stage}' (adt.plans).")
        if len(found) > 1 and any(run.valid_recall is None for run in found):
            raise DataError(
                f"{self.folder} had no validation interactions to choose a model by. Name one with --model: "
                f"{', '.join(run.name for run in found)}."
            )
        chosen = deployed(found)
        if chosen is not None:
            return chosen.training
        return max(found, key=lambda run: (not is_out_of_reach(run.policy), run.valid_recall or 0.0)).name

    def load_model(self, name: str) -> Recommender:
        """Returns a trained model, compiled as it was.

        Raises:
            DataError: If there is none of that name, or its file is missing, corrupt or another run's.
        """
        kind = self.run(name).model
        cls = MODELS.resolve(kind)  # imports the class, so that Keras can find it
        path = self.layout.model(name)
        check_file(self.layout, name, path)
        model = load_model(path)
        sizes = [(each.num_users, each.num_items) for each in (self.data, model)]
        if sizes[0] != sizes[1] or not isinstance(getattr(model, "inner", model), cls):
            raise DataError(
                f"{path} is not the model of this run. Expected a {cls.__name__} of {sizes[0][0]} users and {sizes[0][1]} "
                f"items. Received: a {type(model).__name__} of {sizes[1][0]} and {sizes[1][1]}."
            )
        return model

    def warmup_space(self, name: str) -> np.ndarray:
        """Returns the users' vectors after warm-up, float32 `[num_users, d]`, in which neighbours are looked for.

        Raises:
            DataError: If the training had no warm-up, or the file is missing or corrupt.
        """
        path = self.layout.warmup(name)
        if not path.is_file():
            raise DataError(
                f"{self.folder} has no users' vectors after warm-up for {name}. Expected a training with that stage "
                "(adt.plans=warmup+adt)."
            )
        with reading(path):
            space: np.ndarray = np.load(path, allow_pickle=False)
        if not isinstance(space, np.ndarray) or space.dtype.kind != "f" or space.shape[:-1] != (self.data.num_users,):
            received = f"{space.dtype} of shape {space.shape}" if isinstance(space, np.ndarray) else "an archive"
            raise DataError(f"{path} must have a row for each of the {self.data.num_users} users. Received: {received}.")
        check_file(self.layout, name, path)
        return space
