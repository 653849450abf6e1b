"""The folder of a local runner: artifacts by fingerprint, records, logs, and the state of each pipeline.

Layout::

    artifacts/COMPONENT-FINGERPRINT/   one folder an execution: execution.json (its record) and a folder for each output
    partial/COMPONENT-FINGERPRINT/     of a step that runs or was interrupted: outputs (begun anew) and work (checkpoints)
    logs/COMPONENT-FINGERPRINT.log     what the step printed, attempt after attempt
    pipelines/NAME.json                the last run of each pipeline: its settings, which execution each step is, and which
                                       it was when all were complete
    digests.json, .tfadt-pipeline

Several pipelines can share a folder: a step that one of them has run is complete for all.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tfadt.atomic import write_text
from tfadt.errors import DataError, first_line
from tfadt.pipelines.records import Digests, Record
from tfadt.training.folders import is_locked, locked

RECORD = "execution.json"
_MARKER = ".tfadt-pipeline"

State = Literal["unchanged", "done", "failed", "running", "waiting"]


class StepState(BaseModel):
    """How far a step is in the last run of its pipeline."""

    model_config = ConfigDict(extra="forbid")

    execution: str
    state: State
    seconds: float = 0.0


class RunState(BaseModel):
    """The last run of a pipeline."""

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any]
    started: str
    finished: str | None = None
    error: str | None = None
    steps: dict[str, StepState]
    complete: dict[str, str] = {}
    """Execution of each step in the last run of the whole pipeline that ended well."""

    @property
    def executions(self) -> set[str]:
        """Names of the executions that this run or the last that ended well refers to."""
        return {*self.complete.values(), *(step.execution for step in self.steps.values())}


class Store:
    """A local runner's folder; `locked` makes it.

    Args:
        folder: Where it lies.

    Raises:
        DataError: If there is no such folder, or it is no pipeline's.
    """

    def __init__(self, folder: Path):
        if not self.holds(folder):
            raise DataError(f"{folder} is not the folder of a pipeline: nothing was run in it yet.")
        self.folder = folder
        self.digests = Digests(folder / "digests.json")

    @staticmethod
    def holds(folder: Path) -> bool:
        """Returns whether a folder is a local runner's."""
        return (folder / _MARKER).is_file()

    @classmethod
    @contextmanager
    def locked(cls, folder: Path) -> Iterator[Store]:
        """Makes the folder if there is none and keeps other runners out of it.

        Raises:
            ConfigError: If another runner is at work in it.
            DataError: If it holds something else, or cannot be made.
        """
        with locked(folder, _MARKER, "pipeline", "tfadt pipeline"):
            for name in ("artifacts", "partial", "logs", "pipelines"):
                (folder / name).mkdir(exist_ok=True)
            yield cls(folder)

    def is_locked(self) -> bool:
        """Returns whether a runner is at work in it."""
        return is_locked(self.folder, _MARKER)

    def artifact(self, execution: str, output: str) -> Path:
        """Returns the folder of an output of a complete execution."""
        return self.folder / "artifacts" / execution / output

    def partial(self, execution: str) -> Path:
        """Returns the folder of an execution that is not complete."""
        return self.folder / "partial" / execution

    def log(self, execution: str) -> Path:
        """Returns the log file of an execution."""
        return self.folder / "logs" / f"{execution}.log"

    def commit(self, execution: str) -> None:
        """Makes what lies in the partial folder's `outputs` the artifact folder of a complete execution."""
        place, partial = self.folder / "artifacts" / execution, self.partial(execution)
        if place.exists():  # without a record, or what it tells of the world outside no longer holds
            shutil.rmtree(partial / "replaced", ignore_errors=True)
            place.rename(partial / "replaced")
        (partial / "outputs").rename(place)
        shutil.rmtree(partial)

    def remove(self, execution: str) -> None:
        """Removes a complete execution: out of sight first, so that a kill leaves it whole or gone."""
        hidden = self.partial(f"removed-{execution}")
        shutil.rmtree(hidden, ignore_errors=True)
        (self.folder / "artifacts" / execution).rename(hidden)
        shutil.rmtree(hidden)

    def executions(self) -> list[str]:
        """Returns the names of the complete executions."""
        return sorted(path.name for path in (self.folder / "artifacts").iterdir() if (path / RECORD).is_file())

    def record(self, execution: str) -> Record | None:
        """Returns the record of a complete execution, None if there is none.

        Raises:
            DataError: If it was changed or damaged.
        """
        path = self.folder / "artifacts" / execution / RECORD
        if not path.is_file():
            return None
        record = read_record(path)
        if record.identity.execution != execution:
            raise DataError(
                f"{path} was changed: its content belongs to {record.identity.execution}. Expected {execution}. Delete that "
                "folder to have the step run again."
            )
        return record

    def check_outputs(self, execution: str, record: Record) -> None:
        """Raises DataError if an output of a complete execution is not what it was when it was made."""
        for name, output in record.outputs.items():
            folder = self.artifact(execution, name)
            found = self.digests.of_path(folder) if folder.is_dir() else "nothing there"
            if found != output.digest:
                raise DataError(
                    f"The artifact {folder} (output '{name}' of step '{record.step}') was changed after it was made. "
                    f"Expected the fingerprint {output.digest}. Received: {found}. Delete {folder.parent} to have the step "
                    "run again."
                )

    def save_state(self, pipeline: str, state: RunState) -> None:
        """Keeps the state of a pipeline's last run."""
        write_text(self.folder / "pipelines" / f"{pipeline}.json", state.model_dump_json(indent=2) + "\n")

    def state(self, pipeline: str) -> RunState | None:
        """Returns the state of a pipeline's last run, None if it never ran here."""
        path = self.folder / "pipelines" / f"{pipeline}.json"
        return self._read_state(path) if path.is_file() else None

    def states(self) -> Iterator[tuple[str, RunState]]:
        """Yields the name and the state of each pipeline that ran here."""
        for path in sorted((self.folder / "pipelines").glob("*.json")):
            if not path.name.startswith("."):
                yield path.stem, self._read_state(path)

    @staticmethod
    def _read_state(path: Path) -> RunState:
        try:
            return RunState.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            reason = first_line(error)
            raise DataError(f"{path} is damaged: {reason}. Delete it; the next run writes it anew.") from error


def read_record(path: Path) -> Record:
    """Reads an execution record.

    Raises:
        DataError: If it is damaged.
    """
    try:
        return Record.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path} is damaged: {first_line(error)}. Delete {path.parent} to have the step run again."
        ) from error
