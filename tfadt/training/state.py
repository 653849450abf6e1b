"""The state of a training as arrays and facts, and the callback that keeps it on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadt.errors import DataError, InterruptedRunError
from tfadt.models.recommender import Recommender
from tfadt.training.checkpoints import Checkpoint, CheckpointStore
from tfadt.training.interrupts import Interrupt, Struck
from tfadt.training.selection import Selection


class Checkpointing(keras.callbacks.Callback):
    """Writes a checkpoint every so many steps, at the end, and where a signal asks the run to stop.

    It comes after `Selection` among the callbacks, whose best weights so far it keeps too; where both are due, the
    checkpoint is written first. Resting embedding rows stay at rest, so that the steps to come round as they would have.

    Args:
        store: Where; None to keep nothing.
        every: Steps between two checkpoints.
        selection: The selection of the run.
        interrupt: Tells of a signal.
        total_steps: Steps of the run.

    Attributes:
        epochs: The logs of each epoch so far.
        seconds: Wall time of the training so far, over all its resumptions.
    """

    def __init__(
        self, store: CheckpointStore | None, every: int, selection: Selection, interrupt: Interrupt, total_steps: int
    ):
        super().__init__()
        self._store = store
        self._every = every
        self._selection = selection
        selection.around = self.measuring
        self._interrupt = interrupt
        self._total_steps = total_steps
        self._saved_step: int | None = None
        self._restored_totals: np.ndarray | None = None
        self._begun = time.perf_counter()
        self.epochs: list[dict[str, float]] = []

    @property
    def seconds(self) -> float:
        """Wall time of the training so far."""
        return time.perf_counter() - self._begun

    def restore(self, model: Recommender, store: CheckpointStore | None) -> int:
        """Brings the model, its optimizer and the selection to the newest checkpoint of a store.

        Returns:
            Its step; 0 without one.

        Raises:
            DataError: If the checkpoint is of another model.
        """
        checkpoint = None if store is None else store.latest()
        if checkpoint is None:
            return 0
        for name, variable in _variables(model).items():
            if name not in checkpoint.arrays or checkpoint.arrays[name].shape != tuple(variable.shape):
                raise DataError(f"The checkpoint of step {checkpoint.step} is of another model: {name} does not fit.")
            variable.assign(checkpoint.arrays[name])
        facts, selection = checkpoint.facts, self._selection
        selection.history = [(int(step), float(score)) for step, score in facts["history"]]
        if facts["best_score"] is not None:
            selection.best_step, selection.best_score = facts["best_step"], facts["best_score"]
            selection.best_weights = [checkpoint.arrays[f"best/{n}"] for n in range(len(model.trainable_variables))]
        if "average/0" in checkpoint.arrays:
            selection.average = [checkpoint.arrays[f"average/{n}"] for n in range(len(model.trainable_variables))]
        selection.best_logs = facts["best_logs"]
        selection.logged_step = facts["logged_step"]
        self.epochs = facts["epochs"]
        self._begun -= facts["seconds"]
        # At the end of an epoch that is over, Keras begins the next one.
        self._restored_totals = checkpoint.arrays["statistics"] if store is self._store else None
        self._saved_step = checkpoint.step
        return checkpoint.step

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Gives the statistics of the epoch that was cut their totals back, which Keras has just reset."""
        del epoch, logs
        if self._restored_totals is not None:
            self.model.metrics[0].totals.assign(self._restored_totals)
            self._restored_totals = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes a checkpoint where one is due; stops the run if a signal asked for it.

        Raises:
            InterruptedRunError: If a signal came.
        """
        del batch, logs
        self._keep()

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """A measurement happens within this: what is due is written before it, and a signal cuts it short.

        Raises:
            InterruptedRunError: If a signal came.
        """
        self._keep()
        try:
            with self._interrupt.at_once():
                yield
        except Struck:
            self._keep()

    def _keep(self) -> None:
        step = int(self.model.iteration)
        signum = self._interrupt.signum
        if step % self._every == 0 or signum is not None:
            self._save(step)
        if signum is not None:
            self._stop(step, signum)

    def _save(self, step: int, again: bool = False) -> None:
        if self._store is None or (step == self._saved_step and not again):
            return
        if self._store.save(self._checkpoint(step)):
            self._saved_step = step

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Stops the run if a signal came after the last step: nothing else is to begin.

        Raises:
            InterruptedRunError: If it did.
        """
        del logs
        if self._interrupt.signum is not None:
            self._stop(int(self.model.iteration), self._interrupt.signum)

    def _stop(self, step: int, signum: int) -> None:
        kept = "no checkpoint was kept" if self._saved_step is None else f"the last checkpoint is of step {self._saved_step}"
        raise InterruptedRunError(f"Stopped by signal {signum} at step {step}; {kept}.", 128 + signum)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps the logs of the epoch; after the last one also the final state, with what was selected."""
        del self.epochs[epoch:]
        self.epochs.append({name: float(value) for name, value in (logs or {}).items()})
        step = int(self.model.iteration)
        if step >= self._total_steps or self.model.stop_training:
            self._save(step, again=True)

    def _checkpoint(self, step: int) -> Checkpoint:
        selection = self._selection
        arrays = {**_variables(self.model), "statistics": self.model.metrics[0].totals}
        if selection.training_weights is not None:  # the model has the average, which is being measured
            own = dict(zip(map(id, self.model.trainable_variables), selection.training_weights, strict=True))
            arrays = {name: own.get(id(values), values) for name, values in arrays.items()}
        for name, weights in (("best", selection.best_weights), ("average", selection.average)):
            arrays |= {f"{name}/{n}": values for n, values in enumerate(weights or ())}
        facts = {
            "history": selection.history,
            "best_step": selection.best_step,
            "best_score": selection.best_score,
            "best_logs": selection.best_logs,
            "logged_step": selection.logged_step,
            "epochs": self.epochs,
            "seconds": self.seconds,
        }
        return Checkpoint(step, arrays, facts)


def _variables(model: Recommender) -> dict[str, tf.Variable]:
    """Returns all that a step changes, by name: weights, state of layers, the optimizer's raw state, the policy's."""
    history = {id(model.history_offsets), id(model.history_items)}  # of the data, not of the training
    found = {f"model/{n}": v for n, v in enumerate(model.variables) if id(v) not in history}
    found |= {f"optimizer/{n}": v for n, v in enumerate(model.optimizer.variables)}
    return found | {f"policy/{n}": v for n, v in enumerate(model.policy.variables)}
