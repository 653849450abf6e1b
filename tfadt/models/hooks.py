"""Callbacks that `fit` adds to those it is given: rows in sync before anybody looks, the policy's epochs, validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfadt.evaluation.ranking import RankingEvaluator

_QUIET = frozenset({"keras", "keras_tuner", "tfadt"})  # packages whose callbacks look at the ends of epochs alone


def looks_at_batches(callback: Any) -> bool:
    """Returns whether a callback may read the weights between two epochs.

    Any callback of the user's that is told of batches counts, and Keras's that save every so many batches.
    """
    if isinstance(callback, keras.callbacks.CallbackList):
        return any(map(looks_at_batches, callback.callbacks))
    if isinstance(callback, keras.callbacks.LambdaCallback):
        return bool({"on_train_batch_begin", "on_train_batch_end"} & vars(callback).keys())
    if type(callback).__module__.partition(".")[0] in _QUIET:
        return isinstance(getattr(callback, "save_freq", None), int)
    names = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    return any(getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name) for name in names)


class FitHook(keras.callbacks.Callback):
    """Comes before all other callbacks: what they read are synced rows.

    Rows are synced at the end of each epoch, where `due` says, and after each call if a callback looks there. All of that
    follows from the step and the callbacks, so a resumed run syncs where the uncut one did and stays equal bit for bit.

    Args:
        callbacks: The other callbacks.
        due: Tells whether somebody looks after a step; None for nobody.
    """

    def __init__(self, callbacks: Any, due: Callable[[int], bool] | None = None):
        super().__init__()
        self._due = due
        given = callbacks if isinstance(callbacks, Sequence) else [callbacks]
        self._always = any(map(looks_at_batches, given))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Tells the policy."""
        del logs
        self.model.policy.on_epoch_begin(epoch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Syncs the rows where somebody looks."""
        del batch, logs
        if self._always or (self._due is not None and self._due(int(self.model.iteration))):
            self.model.sync()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Syncs the rows, and tells the policy."""
        del logs
        self.model.sync()
        self.model.policy.on_epoch_end(epoch, self.model)


class RankingValidation(keras.callbacks.Callback):
    """Puts the ranking metrics on a validation split into the logs of each epoch, as `val_recall@20` and so on.

    Args:
        evaluator: Ranks the split.
    """

    def __init__(self, evaluator: RankingEvaluator):
        super().__init__()
        self._evaluator = evaluator

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures the model."""
        del epoch
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in self._evaluator(self.model).metrics.items()})
