"""Which checkpoint of a run is kept: one rule for every policy, or the comparison is confounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfadt.data.interactions import InteractionData
from tfadt.errors import DataError
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.models.recommender import Recommender
from tfadt.sampling.negatives import NegativeSampler
from tfadt.training.validation import ValidationLoss


def selection_score(
    rule: str,
    model: Recommender,
    data: InteractionData,
    sampler: NegativeSampler,
    k: int,
    batch_size: int = 1024,
    fixed_negatives: bool = False,
) -> Callable[[], float] | None:
    """Returns what measures a checkpoint, larger is better; None for the rule `last`.

    Args:
        rule: `val_recall`: recall@k on the noisy validation split, training items masked. `trimmed`: the plain validation
            loss without the 20 % hardest positives. `paper`: the validation loss of the method's own kind at its current
            drop rate, which favours methods by how they define their loss. `last`: no selection.
        model: The compiled model.
        data: The data set.
        sampler: Draws negatives for the validation losses.
        k: Cut-off of `val_recall`.
        batch_size: Rows a batch of the validation losses.
        fixed_negatives: Use the same validation negatives every time.

    Raises:
        DataError: If the rule needs validation interactions and there are none.
    """
    if rule == "last":
        return None
    check_selection(rule, data)
    if rule == "val_recall":
        evaluator = RankingEvaluator(data.valid, data.history(), (k,))
        return lambda: evaluator.recall(model)
    losses = ValidationLoss(model, data.valid, sampler, batch_size, fixed_negatives)
    measure = losses.policy_loss if rule == "paper" else losses.trimmed_loss
    return lambda: -measure()


def check_selection(rule: str, data: InteractionData) -> None:
    """Raises DataError if the rule needs validation interactions and there are none."""
    if rule != "last" and len(data.valid) == 0:
        raise DataError(
            f"Selection by '{rule}' needs validation interactions. Received: none (set adt.selection=last to keep the "
            "final weights)."
        )


class Selection(keras.callbacks.Callback):
    """Measures the model every so many steps and at the end, and restores the best weights when training ends.

    Args:
        score: What measures a checkpoint, larger is better; None keeps the last weights.
        every: Steps between two measurements.
        total_steps: Steps of the run; the last one is always measured.

    Attributes:
        best_step: The step whose weights the model ends with.
        best_score: Their score; None for the rule `last`.
        best_weights: Those weights, as long as the model trains on; None before the first measurement.
        history: `(step, score)` of each measurement.
    """

    def __init__(self, score: Callable[[], float] | None, every: int, total_steps: int):
        super().__init__()
        self._score = score
        self._every = every
        self._total_steps = total_steps
        self.best_weights: list[np.ndarray] | None = None
        self.best_step = total_steps
        self.best_score: float | None = None
        self.history: list[tuple[int, float]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures the model where it is due."""
        del batch, logs
        step = int(self.model.iteration)
        if self._score is None or (step % self._every and step != self._total_steps):
            return
        if self.history and self.history[-1][0] == step:
            return  # A resumed run comes by the step of its checkpoint once more.
        score = self._score()
        self.history.append((step, score))
        if not np.isnan(score) and (self.best_score is None or score > self.best_score):
            self.best_step, self.best_score = step, score
            self.best_weights = [variable.numpy() for variable in self.model.trainable_variables]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the last measurement to the epoch's logs."""
        del epoch
        if logs is not None and self.history:
            logs["selection_score"] = self.history[-1][1]

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Gives the model the best weights back."""
        del logs
        if self.best_weights is not None:
            for variable, value in zip(self.model.trainable_variables, self.best_weights, strict=True):
                variable.assign(value)
