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

from tfadt.models.recommender import Recommender
from tfadt.training.checkpoints import Checkpoint, CheckpointStore
from tfadt.tuning.objective import Judge

_FOLDER = "last_epoch"  # in the folder of a trial
_EPOCHS, _EARLIER = "tuner/epochs", "tuner/trial_id"  # Hyperband's own entries among a trial's values


class LastEpoch(keras.callbacks.Callback):
    """Keeps the state of a trial after its last epoch, and brings a model to that of an earlier trial.

    The state: weights and the optimizer's variables, raw, and what was chosen so far, by the selection rule and by
    keras-tuner, whose best epoch goes on with the trial, too. Comes last among the callbacks.

    Args:
        judge: Measures the trial.
        told: keras-tuner's callback that knows the tuner and the trial.
        best: keras-tuner's callback that keeps the best epoch.
        epochs: Where the trial ends.
    """

    def __init__(self, judge: Judge, told: Any, best: Any, epochs: int):
        super().__init__()
        self._judge = judge
        self._tuner = told.tuner
        self._best = best
        self._epochs = epochs
        self._store = self._store_of(told.trial.trial_id)

    @classmethod
    def of_trial(
        cls, values: Mapping[str, Any], callbacks: Sequence[keras.callbacks.Callback], judge: Judge, epochs: int
    ) -> LastEpoch | None:
        """Returns the callback for a trial of Hyperband with these values; None for any other training.

        keras-tuner's callbacks are told by what they have: their classes are not public.
        """
        told = next((callback for callback in callbacks if hasattr(callback, "tuner") and hasattr(callback, "trial")), None)
        best = next((c for c in callbacks if hasattr(c, "best_value") and hasattr(c, "filepath")), None)
        if _EPOCHS not in values or told is None or best is None:
            return None
        return cls(judge, told, best, epochs)

    def go_on(self, model: Recommender, values: Mapping[str, Any]) -> None:
        """Brings the model, the judge and keras-tuner's best epoch to where the earlier trial of these values ended.

        Raises:
            keras_tuner.errors.FailedTrialError: If it left nothing to go on from.
            OSError: If the best epoch cannot be copied.
        """
        earlier = values[_EARLIER]
        checkpoint = self._store_of(earlier).latest()
        if checkpoint is None:
            raise keras_tuner.errors.FailedTrialError(f"Trial {earlier} left no last epoch to go on from.")
        arrays, facts = checkpoint.arrays, checkpoint.facts
        for name, variable in _variables(model).items():
            variable.assign(arrays[name])
        self._judge.epoch, self._judge.logs = facts["epoch"], facts["logs"]
        if facts["keeps_weights"]:
            self._judge.weights = [arrays[f"best/{n}"] for n in range(len(model.trainable_variables))]
        self._best.best_value = facts["best_value"]
        path = Path(self._best.filepath)
        shutil.copyfile(Path(self._tuner.get_trial_dir(earlier)) / path.name, path)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forgets what an earlier attempt at this trial left."""
        del logs
        self._store.clear()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the state, if this is the last epoch.

        Raises:
            OSError: If it cannot be written.
        """
        del logs
        if epoch + 1 < self._epochs and not self.model.stop_training:
            return
        judge = self._judge
        arrays = _variables(self.model) | {f"best/{n}": weights for n, weights in enumerate(judge.weights or [])}
        facts = {
            "epoch": judge.epoch,
            "logs": {name: float(value) for name, value in judge.logs.items()},
            "keeps_weights": judge.weights is not None,
            "best_value": float(self._best.best_value),
        }
        if not self._store.save(Checkpoint(int(self.model.iteration), arrays, facts)):
            raise OSError(f"the last epoch of a trial, into {self._store.folder}")

    def _store_of(self, trial: str) -> CheckpointStore:
        return CheckpointStore(Path(self._tuner.get_trial_dir(trial)) / _FOLDER)


def _variables(model: Recommender) -> dict[str, Any]:
    return {f"state/{n}": variable for n, variable in enumerate([*model.variables, *model.optimizer.variables])}
