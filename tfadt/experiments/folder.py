"""The folder of a run: what each training leaves in it, and how a run that was cut goes on from it.

`tfadt.experiments.layout` says what lies where.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfadt.atomic import write_atomically, write_text
from tfadt.config import Config
from tfadt.config.loading import dump
from tfadt.errors import DataError, DivergedError, first_line, reading, writing
from tfadt.experiments.layout import CONFIG, EPOCHS, FILES, FOLDERS, MARKER, Layout
from tfadt.experiments.run import SCHEMA, Run, check_schema
from tfadt.training.checkpoints import CheckpointStore
from tfadt.training.folders import locked
from tfadt.training.plan import Plan
from tfadt.training.stages import Trained

_EARLIEST = 315_619_200  # 1980-01-02, in seconds: archives know no earlier time, in any time zone


class RunFolder(Layout):
    """The folder of one run, as the run itself writes it and goes on from it.

    Args:
        out: Where it lies.
    """

    def begin(self, config: Config) -> None:
        """Makes the (locked) folder ready for a new run, replacing an earlier run's results there.

        Raises:
            DataError: If it cannot be written.
        """
        out = self.out
        with writing(f"The output folder {out}"):
            for name in FILES:
                (out / name).unlink(missing_ok=True)
            for name in FOLDERS:
                shutil.rmtree(out / name, ignore_errors=True)
                (out / name).mkdir()
            _write_json(out / CONFIG, {"schema": SCHEMA, "config": dump(config)})

    def config(self) -> Config:
        """Returns the settings of the run that began here.

        Raises:
            DataError: If no run began here, or one of another schema.
        """
        path = self.out / CONFIG
        if not (self.out / MARKER).is_file() or not path.is_file():
            raise DataError(f"{self.out} holds no run to go on with. Expected the output folder of `tfadt run`.")
        content = _read_json(path)
        check_schema(content, path)
        with reading(path):
            return Config.model_validate_json(json.dumps(content.get("config")))

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
            DataError: If the folder holds something else, or cannot be made, or the clock is before 1980.
        """
        if time.time() < _EARLIEST:
            raise DataError(
                "Model files cannot be written before 1980. Set the clock of this machine: it says a time before."
            )
        with locked(self.out, MARKER, "run", "tfadt run"):
            yield

    def checkpoint_store(self, plan: Plan) -> CheckpointStore:
        """Returns where the checkpoints of a training lie."""
        return CheckpointStore(self.checkpoints(plan.name))

    def finished(self, plan: Plan) -> tuple[Run, pd.DataFrame] | None:
        """Returns a training that is finished and the logs of its epochs; None for one that is to be trained.

        A finished training whose files are damaged is named in a warning, file by file, and is to be trained again.
        """
        path = self.training(plan.name)
        if not path.is_file():
            return None
        try:
            record = _read_json(path)
            run, epochs = Run.from_dict(record.get("run"), path), pd.DataFrame(record.get("epochs"))
            damaged = _damaged(self.out, record.get("files"), path)
        except (DataError, ValueError) as error:
            damaged = [first_line(error)]
        if damaged:
            warnings.warn(f"{plan.name} is trained again, since its files are damaged. {' '.join(damaged)}", stacklevel=2)
            path.unlink()
            return None
        # Its removal may have been cut short.
        self.checkpoint_store(plan).clear()
        return Run.from_dict(run.as_dict(), path, read_per_user(self, plan.name)), epochs

    def keep_users(self, run: Run) -> None:
        """Writes the metrics of each user."""
        users = run.evaluation.per_user
        write_atomically(self.per_user(run.name), lambda path: users.to_parquet(path, index=False))

    def keep(self, plan: Plan, trained: Trained, run: Run) -> pd.DataFrame:
        """Writes what a finished training leaves but for its checkpoints, and returns the logs of its epochs.

        Raises:
            DataError: If it cannot be written.
        """
        epochs = trained.history.assign(model=plan.model, policy=plan.policy, plan=plan.label, seed=plan.seed)
        written = [self.model(run.name), self.per_user(run.name)]
        with writing(f"The results of {plan.name}"):
            write_atomically(self.model(run.name), trained.model.save)
            self.keep_users(run)
            if trained.warmup_space is not None:
                space = trained.warmup_space
                write_atomically(self.warmup(run.name), lambda path: np.save(path, space))
                written.append(self.warmup(run.name))
            files = {str(path.relative_to(self.out)): file_digest(path) for path in written}
            record = {"run": run.as_dict(), "epochs": epochs.to_dict("list"), "files": files}
            _write_json(self.training(plan.name), record)
        return epochs

    def keep_epochs(self, epochs: pd.DataFrame) -> None:
        """Writes the logs of all trainings."""
        write_atomically(self.out / EPOCHS, lambda path: epochs.to_parquet(path, index=False))

    def keep_batch(self, plan: Plan, error: DivergedError) -> Path:
        """Writes the batch whose loss was not finite; returns the file."""
        path = self.diverged(plan.name, error.step)
        path.parent.mkdir(exist_ok=True)
        np.savez(path, **error.batch)
        return path


def read_per_user(layout: Layout, name: str) -> pd.DataFrame:
    """Returns the metrics of each user of a run.

    Raises:
        DataError: If the file is missing or damaged.
    """
    path = layout.per_user(name)
    with reading(path):
        return pd.read_parquet(path)


def check_file(layout: Layout, name: str, path: Path) -> None:
    """Raises DataError if a file is not the one that a training wrote, where the folder has a record of it."""
    training = layout.training(name)
    if training.is_file():
        files = _read_json(training).get("files")
        relative = str(path.relative_to(layout.out))
        if not isinstance(files, Mapping) or not path.is_file() or file_digest(path) != files.get(relative):
            raise DataError(
                f"{path} cannot be loaded: it is not the file that the training wrote. Train it again with: tfadt run "
                f"--resume {layout.out}"
            )


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(out: Path, files: Any, where: Path) -> list[str]:
    """Returns a sentence for each file that is missing or not what was written."""
    if not isinstance(files, Mapping) or not files:
        return [f"{where} does not say which files the training wrote."]
    sentences = []
    for relative, digest in files.items():
        path = out / relative
        if not path.is_file():
            sentences.append(f"{path} does not exist.")
        elif file_digest(path) != digest:
            sentences.append(f"{path} is not the file that the training wrote.")
    return sentences


def _read_json(path: Path) -> dict[str, Any]:
    with reading(path):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise DataError(f"{path} is damaged. Expected a JSON object. Received: {type(content).__name__}.")
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
