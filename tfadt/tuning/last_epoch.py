"""What a trial of Hyperband goes on from: the state after the last epoch of an earlier trial, as if that had not stopped.

keras-tuner keeps the best epoch of a trial and begins the next one with it. As the model of a trial that is right; trained
on, it would make epochs again that were made, fall short of the end of the policy's schedule, and forget how good it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from tfadt.training.checkpoints import CheckpointStore

_FOLDER = "last_epoch"  # in the folder of a trial
_BEST = "best_value.txt"
_EPOCHS, _EARLIER = "tuner/epochs", "tuner/trial_id"  # Hyperband's own entries among a trial's values


class Rung(keras.callbacks.Callback):
    """A trial of Hyperband: where its checkpoints are, and keras-tuner's best epoch, which goes on with the trial, too.

    Comes last among the callbacks.

    Args:
        told: keras-tuner's callback that knows the tuner and the trial.
        best: keras-tuner's callback that keeps the best epoch.
        earlier: The trial that this one goes on from; None for none.

    Attributes:
        store: The checkpoints of this trial.
        continued: Those of the earlier one.
    """

    def __init__(self, told: Any, best: Any, earlier: str | None):
        super().__init__()
        self._tuner = told.tuner
        self._best = best
        self._earlier = earlier
        self.store = self._store_of(told.trial.trial_id)
        self.store.clear()  # what an earlier attempt at this trial left
        self.continued = None if earlier is None else self._store_of(earlier)

    @classmethod
    def of_trial(
        cls, values: Mapping[str, Any], callbacks: Sequence[keras.callbacks.Callback], initial_epoch: int
    ) -> Rung | None:
        """Returns the callback for a trial of Hyperband with these values; None for any other training.

        keras-tuner's callbacks are told by what they have: their classes are not public.
        """
        told = next((callback for callback in callbacks if hasattr(callback, "tuner") and hasattr(callback, "trial")), None)
        best = next((c for c in callbacks if hasattr(c, "best_value") and hasattr(c, "filepath")), None)
        if _EPOCHS not in values or told is None or best is None:
            return None
        return cls(told, best, values[_EARLIER] if initial_epoch > 0 else None)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Takes over the best epoch of the earlier trial.

        Raises:
            keras_tuner.errors.FailedTrialError: If it left nothing to go on from.
            OSError: If the best epoch cannot be copied.
        """
        del logs
        if self.continued is None:
            return
        file = self.continued.folder / _BEST
        if not file.is_file():
            raise keras_tuner.errors.FailedTrialError(f"Trial {self._earlier} left no last epoch to go on from.")
        self._best.best_value = float(file.read_text())
        path = Path(self._best.filepath)
        shutil.copyfile(Path(self._tuner.get_trial_dir(self._earlier)) / path.name, path)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Writes the value of the best epoch beside the last checkpoint.

        Raises:
            OSError: If it, or the checkpoint, could not be written.
        """
        del logs
        if self.store.latest_step() != int(self.model.iteration):
            raise OSError(f"the last epoch of a trial, into {self.store.folder}")
        (self.store.folder / _BEST).write_text(repr(float(self._best.best_value)))

    def _store_of(self, trial: str) -> CheckpointStore:
        return CheckpointStore(Path(self._tuner.get_trial_dir(trial)) / _FOLDER)
