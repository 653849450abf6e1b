"""A trial in a process of its own: its memory is given back at its end, and a trial that is killed ends nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial

from tfadt.config import Config
from tfadt.config.loading import dump, load_config
from tfadt.data import artifact
from tfadt.training.processes import Process, ProcessEndedError, Tell
from tfadt.tuning.hypermodel import ADTHyperModel
from tfadt.tuning.oracles import make_oracle
from tfadt.tuning.progress import SearchProgress
from tfadt.tuning.tuner import SearchTuner

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

    def __call__(self, trial: Trial, tell: Callable[[int, Mapping[str, float]], None]) -> dict[str, float]:
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
        }
        log = self.folder / f"trial_{trial.trial_id}" / _LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with Process(log) as process:
                outcome = process.do("tfadt.tuning.processes:run_trial", task, tell)
        except ProcessEndedError as error:
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        if "fatal" in outcome:
            raise keras_tuner.errors.FatalError(outcome["fatal"])
        if "failed" in outcome:
            raise keras_tuner.errors.FailedTrialError(outcome["failed"])
        metrics: dict[str, float] = outcome["metrics"]
        return metrics


def run_trial(task: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Runs the trial of a task in this process; tells its epochs and returns how it ended."""
    config = load_config(base=task["config"])

    class Told(SearchProgress):
        def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, Any]) -> None:
            tell(epoch, {name: float(value) for name, value in logs.items()})

    hypermodel = ADTHyperModel(artifact.load(Path(task["data"])), config, task["model"], task["policy"])
    oracle = make_oracle(config, hypermodel.objective, len(hypermodel.space))
    tuner = SearchTuner(oracle, hypermodel, Path(task["folder"]), Told())
    try:
        (history,) = tuner.run_trial(Trial.from_state(task["trial"]), callbacks=[tensorboard(Path(task["logs"]))])
    except keras_tuner.errors.FailedTrialError as error:
        return {"failed": str(error)}
    except keras_tuner.errors.FatalError as error:
        return {"fatal": str(error)}
    return {"metrics": {name: float(values[0]) for name, values in history.history.items()}}


def tensorboard(logs: Path) -> keras.callbacks.TensorBoard:
    """Returns the callback that logs a trial; keras-tuner gives each trial a folder of its own, with its HParams."""
    return keras.callbacks.TensorBoard(str(logs), write_graph=False)
