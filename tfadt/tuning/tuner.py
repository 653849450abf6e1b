"""The tuner of `tfadt tune`: keras-tuner's own, which tells what happens and can run each trial in a process of its own."""

from __future__ import annotations

import io
import json
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src.engine.tuner_utils import SaveBestEpoch

from tfadt.atomic import write_atomically, write_text
from tfadt.search_space import Value
from tfadt.tuning import distribution
from tfadt.tuning.hypermodel import ADTHyperModel
from tfadt.tuning.progress import SearchProgress

_IDLE_SECONDS = 0.5
_OF_THE_TUNER = "tuner/"  # Hyperband's own entries among a trial's values


class TrialRunner(Protocol):
    """Runs a trial somewhere else."""

    def __call__(self, trial: Trial, tell: Any) -> dict[str, float]:
        """Returns the metrics of the trial; `tell(epoch, logs)` hears of each epoch."""


class _BestEpoch(SaveBestEpoch):
    """Keeps the best epoch in a file that is whole or not there.

    keras-tuner has HDF5 write the file itself, which ends the process (SIGSEGV) where the disk is full.
    """

    def _save_model(self) -> None:
        write_atomically(Path(self.filepath), self.model.save)


class SearchTuner(keras_tuner.Hyperband):
    """Runs the trials of any oracle. Hyperband's tuner is that of all others, where no trial goes on from another.

    Args:
        oracle: Chooses the trials.
        hypermodel: Builds and trains them.
        folder: Where the search keeps its state and checkpoints; a search that lies there is gone on with.
        progress: Hears how the search goes on.
        elsewhere: Runs a trial in a process of its own; None for this one.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: ADTHyperModel,
        folder: Path,
        progress: SearchProgress | None = None,
        elsewhere: TrialRunner | None = None,
    ):
        self._progress = progress or SearchProgress()
        self._elsewhere = elsewhere
        self._started: dict[str, float] = {}
        self._idle = False
        with redirect_stdout(io.StringIO()):  # it says that it reloads
            keras_tuner.Tuner.__init__(self, oracle, hypermodel, directory=str(folder.parent), project_name=folder.name)

    def _populate_initial_space(self) -> None:
        # keras-tuner builds models to find the space; here it is declared.
        hp = self.oracle.get_space()
        self.hypermodel.declare_hyperparameters(hp)
        self.oracle.update_space(hp)

    def _get_tuner_fname(self) -> str:
        # One name whoever searches: a search can be gone on with alone, or with other workers.
        name = self.tuner_id if self._is_worker() else "tuner"
        return str(Path(self.project_dir) / f"{name}.json")

    def save(self) -> None:
        """Writes the state, the oracle's too where this process has it."""
        if not self._is_worker():
            self.oracle.save()
        write_text(Path(self._get_tuner_fname()), json.dumps(self.get_state()))

    def on_search_begin(self) -> None:
        """Writes the state: without it a search that is killed in its first trial begins anew."""
        self.save()

    def pre_create_trial(self) -> None:
        """Waits a little before asking again, where there was no trial to be had."""
        if self._idle:
            time.sleep(_IDLE_SECONDS)
        self._idle = True

    def on_trial_begin(self, trial: Trial) -> None:
        """Tells that a trial begins."""
        self._idle = False
        self._started[trial.trial_id] = time.perf_counter()
        self._progress.trial_begin(trial.trial_id, trial_settings(trial.hyperparameters.values))

    def on_epoch_end(self, trial: Trial, model: Any, epoch: int, logs: Any = None) -> None:
        """Tells that an epoch is over."""
        del model
        self._progress.trial_epoch(trial.trial_id, epoch, logs or {})

    def _get_checkpoint_fname(self, trial_id: str) -> str:
        return str(Path(self.get_trial_dir(trial_id)) / "checkpoint.keras")

    def _build_and_fit_model(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        kwargs["callbacks"] = [
            _BestEpoch(callback.objective, callback.filepath) if isinstance(callback, SaveBestEpoch) else callback
            for callback in kwargs["callbacks"]
        ]
        return super()._build_and_fit_model(trial, *args, **kwargs)

    def _try_run_and_update_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> None:
        # As in keras-tuner, which also prints the traceback; here the trial's record keeps it.
        try:
            self._run_and_update_trial(trial, *args, **kwargs)
            trial.status = TrialStatus.COMPLETED
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            failed = isinstance(error, keras_tuner.errors.FailedTrialError)
            trial.status = TrialStatus.FAILED if failed else TrialStatus.INVALID
            trial.message = traceback.format_exc()

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Returns the history of the trial's training, or its metrics where another process made it."""

        def tell(epoch: int, logs: Mapping[str, float]) -> None:
            self.on_epoch_end(trial, None, epoch, logs)

        with self._letting_the_chief_know(trial):
            return super().run_trial(trial, *args, **kwargs) if self._elsewhere is None else self._elsewhere(trial, tell)

    @contextmanager
    def _letting_the_chief_know(self, trial: Trial) -> Iterator[None]:
        """Lets the chief, if there is one, know now and then that the trial goes on: it gives up workers that died."""
        over = Event()

        def beat() -> None:
            while not over.wait(distribution.BEAT):
                self.oracle.get_trial(trial.trial_id)

        if self._is_worker():
            Thread(target=beat, daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def on_trial_end(self, trial: Trial) -> None:
        """Records how the trial ended and tells it."""
        super().on_trial_end(trial)
        ended = self.oracle.get_trial(trial.trial_id)
        seconds = time.perf_counter() - self._started[trial.trial_id]
        score = ended.score if ended.status == TrialStatus.COMPLETED else None
        self._progress.trial_end(trial.trial_id, score, None if score is not None else reason(trial), seconds)


def trial_settings(values: Mapping[str, Value]) -> dict[str, Value]:
    """Returns a trial's values of the searched settings, without the tuner's own entries."""
    return {key: value for key, value in values.items() if not key.startswith(_OF_THE_TUNER)}


def reason(trial: Trial) -> str:
    """Returns why a trial failed, in one line."""
    lines = (trial.message or "").strip().splitlines()
    if not lines:
        return "its objective is not a number, or it failed on another worker"
    # The last line of a traceback names the error, with its module.
    kind, _, text = lines[-1].partition(": ")
    return text if text and kind.endswith("FailedTrialError") else lines[-1]
