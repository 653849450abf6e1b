"""Which checkpoint of a run is kept: one rule for every policy, or the comparison is confounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np

from tfadt.config import Config
from tfadt.data.interactions import InteractionData
from tfadt.errors import DataError
from tfadt.evaluation.protocol import affordable_users, valid_evaluator
from tfadt.evaluation.ranking import RankingEvaluator, Told
from tfadt.evaluation.rules import BY_RECALL, selection_rule, validation_rows
from tfadt.models.recommender import Recommender
from tfadt.sampling.negatives import NegativeSampler
from tfadt.sampling.shared import SharedSampler
from tfadt.training.validation import ValidationLoss


def selection_score(
    model: Recommender,
    data: InteractionData,
    config: Config,
    sampler: NegativeSampler | SharedSampler,
    told: Told | None = None,
    trained_rows: int | None = None,
) -> Callable[[], float] | None:
    """Returns what measures a checkpoint, larger is better; None for the rule `last`.

    Args:
        model: The compiled model.
        data: The data set.
        config: The settings. `adt.selection` is the rule. `val_recall`: recall on the noisy validation split, training items
            masked. `expected_val_recall`: the same with each interaction counted by how likely it is liked, as the noise
            model has it. `clean_val_recall`: on those that are known to be liked. `auto`: by what is known. `trimmed`: the
            plain validation loss without the 20 % hardest positives. `paper`: the validation loss of the method's own kind
            at its current drop rate, which favours methods by how they define their loss. `last`: no selection.
        sampler: Draws negatives for the validation losses.
        told: Hears how far the ranking of the users is.
        trained_rows: Rows, negatives included, that are trained between two measurements, which `affordable_users` goes by;
            None for a measurement that may take its time.

    Raises:
        DataError: If the rule needs validation interactions and there are none.
    """
    adt, rule = config.adt, config.adt.selection
    if rule == "last":
        return None
    check_selection(rule, data)
    if selection_rule(rule, data) in BY_RECALL:
        affordable = None
        if trained_rows is not None:
            affordable = affordable_users(trained_rows, data.num_items, model.pairs_a_row)
        evaluator = valid_evaluator(data, config, affordable=affordable)
        return lambda: evaluator.recall(model, told)
    losses = ValidationLoss(model, data.valid, sampler, adt.batch_size, adt.fixed_valid_negatives)
    measure = losses.policy_loss if rule == "paper" else losses.trimmed_loss
    return lambda: -measure()


class RankedScore:
    """The score of a rule beside the ranking metrics on validation, for searches, which are judged by one of these.

    Args:
        evaluator: Ranks the validation interactions of the rule.
        model: The model.
        rule: The selection rule, of `auto` the one that it stands for; `last` scores a checkpoint by its step.
        score: What measures a checkpoint by the rule.
        k: Cut-off of the recall, which the evaluator has measured already.

    Attributes:
        metrics: `val_recall@20` and so on, of the last measurement.
    """

    def __init__(
        self, evaluator: RankingEvaluator, model: Recommender, rule: str, score: Callable[[], float] | None, k: int
    ):
        self._evaluator = evaluator
        self._model = model
        self._recall = f"val_recall@{k}" if rule in BY_RECALL else None
        self._score = score
        self.metrics: dict[str, float] = {}

    def __call__(self) -> float:
        """Measures the model."""
        found = self._evaluator(self._model).metrics
        self.metrics.update({f"val_{name}": value for name, value in found.items()})
        if self._recall is not None:
            return self.metrics[self._recall]
        return float(self._model.iteration) if self._score is None else self._score()


def check_selection(rule: str, data: InteractionData) -> None:
    """Raises DataError if the rule has no validation interactions to go by, or cannot learn how likely these are liked."""
    if rule != "last" and len(data.valid) == 0:
        raise DataError(
            f"Selection by '{rule}' needs validation interactions. Received: none (set adt.selection=last to keep the "
            "final weights)."
        )
    if rule in ("clean_val_recall", "expected_val_recall") and len(validation_rows(rule, data)) == 0:
        raise DataError(
            f"Selection by '{rule}' needs validation interactions that are known to be liked. Received: none of "
            f"{len(data.valid):,} (see ingest.extra_feedback and its validation_share; adt.selection=val_recall takes all)."
        )


SELECTION_SCORE = "selection_score"
"""The score of the rule in the logs of an epoch."""


class Selection(keras.callbacks.Callback):
    """Measures the model every so many steps and at the end, and restores the best weights when training ends.

    Args:
        score: What measures a checkpoint, larger is better; None keeps the last weights.
        every: Steps between two measurements.
        total_steps: Steps of the run; the last one is always measured.
        metrics: What measurements find beside the score, kept up to date by `score`, for the epoch's logs.
        patience: Measurements without a better score after which training stops; None to go on.
        ema_momentum: Of the exponential moving average of the weights at measurements, which is what is measured and kept;
            0 for the weights themselves. Training goes on from its own weights either way.

    Attributes:
        best_step: The step whose weights the model ends with.
        best_score: Their score; None for the rule `last`.
        best_weights: Those weights, as long as the model trains on; None before the first measurement.
        logged_step: The step that `best_logs` belongs to.
        best_logs: The logs of the epoch that `best_step` lies in, once it is over.
        history: `(step, score)` of each measurement.
        average: The moving average after the last measurement; None before the first and without one.
        training_weights: The weights that training goes on from, while the model has the average to be measured; else None.
        around: Gives what each measurement happens within; `Checkpointing` sets it.
    """

    def __init__(
        self,
        score: Callable[[], float] | None,
        every: int,
        total_steps: int,
        metrics: Mapping[str, float] | None = None,
        patience: int | None = None,
        ema_momentum: float = 0.0,
    ):
        super().__init__()
        self._patience = patience
        self._ema_momentum = ema_momentum
        self._metrics = {} if metrics is None else metrics
        self.around: Callable[[], AbstractContextManager[None]] = nullcontext
        self.logged_step: int | None = None
        self._score = score
        self._every = every
        self._total_steps = total_steps
        self.best_weights: list[np.ndarray] | None = None
        self.best_step = total_steps
        self.best_score: float | None = None
        self.best_logs: dict[str, float] = {}
        self.history: list[tuple[int, float]] = []
        self.average: list[np.ndarray] | None = None
        self.training_weights: list[np.ndarray] | None = None

    @property
    def exhausted(self) -> bool:
        """Whether the score has not become better for as many measurements as there is patience."""
        since = sum(step > self.best_step for step, _ in self.history)
        return self._patience is not None and self.best_score is not None and since >= self._patience

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures the model where it is due."""
        del batch, logs
        step = int(self.model.iteration)
        if self._score is None or (step % self._every and step != self._total_steps):
            return
        if self.history and self.history[-1][0] == step:
            return  # A resumed run comes by the step of its checkpoint once more.
        with self._averaged(), self.around():
            score = self._score()
        self.history.append((step, score))
        if not np.isnan(score) and (self.best_score is None or score > self.best_score):
            self.best_step, self.best_score = step, score
            self.best_weights = _values(self.model.trainable_variables) if self.average is None else self.average
        if self.exhausted:
            self.model.stop_training = True

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Within this the model has the average, the present weights included; a measurement that is cut leaves no trace."""
        if not self._ema_momentum:
            yield
            return
        variables, kept = self.model.trainable_variables, np.float32(self._ema_momentum)
        own = _values(variables)
        before = own if self.average is None else self.average
        average = [kept * mean + (1 - kept) * weights for mean, weights in zip(before, own, strict=True)]
        self.training_weights = own
        try:
            _assign(variables, average)
            yield
        finally:
            _assign(variables, own)
            self.training_weights = None
        self.average = average

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the last measurement to the epoch's logs, and notes those of the best step."""
        del epoch
        logs = {} if logs is None else logs
        logs.update(self._metrics)
        if self.history:
            logs[SELECTION_SCORE] = self.history[-1][1]
        if self._score is None or self.best_step != self.logged_step:
            self.logged_step = self.best_step
            self.best_logs = {name: float(value) for name, value in logs.items()}

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Gives the model the best weights back."""
        del logs
        if self.best_weights is not None:
            _assign(self.model.trainable_variables, self.best_weights)
            self.best_weights = None


def _values(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def _assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
