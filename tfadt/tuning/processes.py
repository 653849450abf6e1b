"""A trial in a process of its own: its memory is given back at its end, and a trial that is killed ends nothing else.

The parent writes one line of JSON, the task, to the child's standard input and keeps it open: its end tells the child that
the parent is gone. The child writes lines of JSON to its standard output: one an epoch, and the outcome. What else it prints
goes into the trial's folder, `process.log`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial

from tfadt.config import Config
from tfadt.config.loading import dump, load_config
from tfadt.data import artifact
from tfadt.registry import MODELS, POLICIES
from tfadt.tuning.hypermodel import ADTHyperModel
from tfadt.tuning.oracles import make_oracle
from tfadt.tuning.progress import SearchProgress
from tfadt.tuning.tuner import SearchTuner

Tell = Callable[[int, Mapping[str, float]], None]
_LOG = "process.log"


@dataclass(frozen=True)
class FreshProcess:
    """Runs each trial of a search in a new Python process.

    Args:
        config: The settings of the search.
        model: Registered name.
        policy: Registered name.
        data: Folder of the data set.
        folder: Folder of the search.
        logs: Folder for TensorBoard.
    """

    config: Config
    model: str
    policy: str
    data: Path
    folder: Path
    logs: Path

    def __call__(self, trial: Trial, tell: Tell) -> dict[str, float]:
        """Returns the metrics of the trial.

        Raises:
            keras_tuner.errors.FailedTrialError: If the trial failed, or its process was killed.
            keras_tuner.errors.FatalError: If no trial can work.
        """
        task = {
            "config": dump(self.config),
            "model": self.model,
            "policy": self.policy,
            "data": str(self.data),
            "folder": str(self.folder),
            "logs": str(self.logs),
            "trial": trial.get_state(),
            "registry": {"models": MODELS, "policies": POLICIES},
        }
        log = self.folder / f"trial_{trial.trial_id}" / _LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tfadt.tuning.processes"]
        # The child asks no chief: its parent does.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KERASTUNER_")}
        outcome: dict[str, Any] = {}
        with (
            log.open("wb") as errors,
            # Unbuffered: nothing is left to be written to a child that is gone when its pipe is closed.
            subprocess.Popen(
                command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
            ) as child,
        ):
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                with suppress(BrokenPipeError):  # where it died before it read its task, the log says why
                    child.stdin.write(json.dumps(task).encode() + b"\n")
                for line in child.stdout:
                    outcome = json.loads(line)
                    if "epoch" in outcome:
                        tell(outcome["epoch"], outcome["logs"])
            except BaseException:
                child.kill()
                raise
        return self._metrics(outcome, child.returncode, log)

    @staticmethod
    def _metrics(outcome: dict[str, Any], returncode: int, log: Path) -> dict[str, float]:
        if "metrics" in outcome:
            metrics: dict[str, float] = outcome["metrics"]
            return metrics
        if "fatal" in outcome:
            raise keras_tuner.errors.FatalError(outcome["fatal"])
        if "failed" in outcome:
            raise keras_tuner.errors.FailedTrialError(outcome["failed"])
        if returncode < 0:
            name = signal.Signals(-returncode).name
            hint = " (is there enough memory?)" if name == "SIGKILL" else ""
            raise keras_tuner.errors.FailedTrialError(f"Its process was ended by {name}{hint}.")
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise keras_tuner.errors.FailedTrialError(f"Its process ended with code {returncode}: {''.join(last)} (see {log})")


def run_task(task: dict[str, Any], write: Callable[[dict[str, Any]], None]) -> None:
    """Runs the trial of a task in this process and writes its epochs and its outcome."""
    MODELS.update(task["registry"]["models"])
    POLICIES.update(task["registry"]["policies"])
    config = load_config(base=task["config"])

    class Told(SearchProgress):
        def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, Any]) -> None:
            write({"epoch": epoch, "logs": {name: float(value) for name, value in logs.items()}})

    hypermodel = ADTHyperModel(artifact.load(Path(task["data"])), config, task["model"], task["policy"])
    oracle = make_oracle(config, hypermodel.objective, len(hypermodel.space))
    tuner = SearchTuner(oracle, hypermodel, Path(task["folder"]), Told())
    try:
        (history,) = tuner.run_trial(Trial.from_state(task["trial"]), callbacks=[tensorboard(Path(task["logs"]))])
    except keras_tuner.errors.FailedTrialError as error:
        write({"failed": str(error)})
    except keras_tuner.errors.FatalError as error:
        write({"fatal": str(error)})
    else:
        write({"metrics": {name: float(values[0]) for name, values in history.history.items()}})


def tensorboard(logs: Path) -> keras.callbacks.TensorBoard:
    """Returns the callback that logs a trial; keras-tuner gives each trial a folder of its own, with its HParams."""
    return keras.callbacks.TensorBoard(str(logs), write_graph=False)


def _main() -> None:
    # Lines of JSON alone go to the parent; whatever else is printed goes where errors go.
    lines: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    task = json.loads(sys.stdin.readline())

    def leave_with_parent() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock a thread would hold at the interpreter's end
            pass
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()

    def write(line: dict[str, Any]) -> None:
        print(json.dumps(line), file=lines, flush=True)

    run_task(task, write)


if __name__ == "__main__":
    _main()
