"""The folder of a run: what each training leaves in it, and how a run that was cut goes on from it.

Layout: `config.json` (the settings, written before anything is trained), `data` (the artifact of ingest),
`models/NAME.keras`, `per_user/NAME.parquet`, `warmup/NAME.npy` (the users' vectors after warm-up), `logs/NAME/STAGE`
(TensorBoard), `trainings/NAME.json` (written last: a training that has it is finished), `checkpoints/NAME/STAGE` (while it
is not), `collide` (colliding inference), `diverged` (batches whose loss was not finite), and the reports.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfadt.atomic import write_atomically, write_text
from tfadt.config import Config
from tfadt.config.loading import dump
from tfadt.errors import DataError, DivergedError, first_line
from tfadt.experiments.run import Run
from tfadt.training.checkpoints import CheckpointStore
from tfadt.training.folders import locked
from tfadt.training.plan import Plan
from tfadt.training.stages import Trained

_MARKER = ".tfadt-run"
_FOLDERS = ("data", "models", "per_user", "warmup", "logs", "trainings", "checkpoints", "collide", "diverged")
_FILES = ("config.json", "results.json", "results.md", "training.parquet")


class RunFolder:
    """The folder of one run.

    Args:
        out: Where it lies.
    """

    def __init__(self, out: Path):
        self.out = Path(out)

    def begin(self, config: Config) -> None:
        """Makes the (locked) folder ready for a new run, replacing an earlier run's results there.

        Raises:
            DataError: If it cannot be written.
        """
        out = self.out
        try:
            for name in _FILES:
                (out / name).unlink(missing_ok=True)
            for name in _FOLDERS:
                shutil.rmtree(out / name, ignore_errors=True)
                (out / name).mkdir()
            self._write_json("config.json", dump(config))
        except OSError as error:
            raise DataError(f"The output folder {out} cannot be written: {error.strerror or error}.") from error

    def config(self) -> Config:
        """Returns the settings of the run that began here.

        Raises:
            DataError: If no run began here.
        """
        path = self.out / "config.json"
        if not (self.out / _MARKER).is_file() or not path.is_file():
            raise DataError(f"{self.out} holds no run to go on with. Expected the output folder of `tfadt run`.")
        try:
            return Config.model_validate_json(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path} cannot be read: {first_line(error)}.") from error

    def holds(self, config: Config) -> bool:
        """Returns whether a run with these settings began here."""
        try:
            return self.config() == config
        except DataError:
            return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder if need be and keeps other processes from writing into it.

        Raises:
            ConfigError: If one does already.
            DataError: If the folder holds something else, or cannot be made.
        """
        with locked(self.out, _MARKER, "run", "tfadt run"):
            yield

    def checkpoints(self, plan: Plan) -> CheckpointStore:
        """Returns where the checkpoints of a training lie."""
        return CheckpointStore(self.out / "checkpoints" / plan.name)

    def finished(self, plan: Plan) -> tuple[Run, pd.DataFrame] | None:
        """Returns a training that is finished and the logs of its epochs; None for one that is not."""
        path = self.out / "trainings" / f"{plan.name}.json"
        if not path.is_file():
            return None
        record = json.loads(path.read_text(encoding="utf-8"))
        per_user = pd.read_parquet(self.out / "per_user" / f"{plan.name}.parquet")
        return Run.from_dict(record["run"], per_user), pd.DataFrame(record["epochs"])

    def keep_users(self, run: Run) -> None:
        """Writes the metrics of each user."""
        users = run.evaluation.per_user
        write_atomically(self.out / "per_user" / f"{run.name}.parquet", lambda path: users.to_parquet(path, index=False))

    def keep(self, plan: Plan, trained: Trained, run: Run) -> pd.DataFrame:
        """Writes what a finished training leaves; returns the logs of its epochs.

        Raises:
            DataError: If it cannot be written.
        """
        epochs = trained.history.assign(model=plan.model, policy=plan.policy, plan=plan.label, seed=plan.seed)
        try:
            write_atomically(self.out / "models" / f"{run.name}.keras", trained.model.save)
            self.keep_users(run)
            if trained.warmup_space is not None:
                space = trained.warmup_space
                write_atomically(self.out / "warmup" / f"{run.name}.npy", lambda path: np.save(path, space))
            record = {"run": run.as_dict(), "epochs": epochs.to_dict("list")}
            self._write_json(f"trainings/{plan.name}.json", record)
        except OSError as error:
            raise DataError(f"The results of {plan.name} cannot be written: {error.strerror or error}.") from error
        self.checkpoints(plan).clear()
        return epochs

    def keep_epochs(self, epochs: pd.DataFrame) -> None:
        """Writes the logs of all trainings."""
        write_atomically(self.out / "training.parquet", lambda path: epochs.to_parquet(path, index=False))

    def keep_batch(self, plan: Plan, error: DivergedError) -> Path:
        """Writes the batch whose loss was not finite; returns the file."""
        path = self.out / "diverged" / f"{plan.name}-step-{error.step}.npz"
        np.savez(path, **error.batch)
        return path

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_text(self.out / name, text)
