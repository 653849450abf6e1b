"""What a trial is judged by: a ranking metric on validation, at the epoch that the selection rule chooses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np

from tfadt.config import Config
from tfadt.errors import ConfigError, did_you_mean
from tfadt.evaluation.metrics import METRICS
from tfadt.evaluation.ranking import RankingEvaluator

SELECTION_SCORE = "selection_score"
VALIDATION = "val_"  # begins the names of what is measured on validation


def objective_metric(config: Config) -> tuple[str, int]:
    """Returns the metric that trials are judged by and its cut-off, such as `("recall", 20)`.

    Raises:
        ConfigError: If there is no such metric.
    """
    text = config.tune.objective
    if text is None:
        return "recall", config.evaluate.k[0]
    match = re.fullmatch(r"(\w+)@([1-9]\d*)", text)
    if match is None:
        raise ConfigError(f"Setting 'tune.objective': expected a metric and a cut-off, such as ndcg@20. Received: '{text}'.")
    name, k = match[1], int(match[2])
    if name not in METRICS:
        raise ConfigError(f"Setting 'tune.objective': unknown metric '{name}'.{did_you_mean(name, METRICS)}")
    return name, k


class SelectedObjective(keras_tuner.Objective):
    """A metric to be maximised, whose checkpoint is the one that the selection rule chooses.

    keras-tuner keeps an epoch's weights where the objective's value is better than before. Here that value is the score of
    the rule, so the weights that it keeps are of the epoch that the trial is judged by, whatever the metric.

    Args:
        metric: Such as `recall@20`; its name in the logs is `val_recall@20`.
    """

    def __init__(self, metric: str):
        super().__init__(VALIDATION + metric, "max")

    def has_value(self, logs: dict[str, Any]) -> bool:
        """Returns whether an epoch was measured."""
        return SELECTION_SCORE in logs

    def get_value(self, logs: dict[str, Any]) -> float:
        """Returns the score of the rule for an epoch."""
        return float(logs[SELECTION_SCORE])


class Judge(keras.callbacks.Callback):
    """Measures validation at the end of each epoch and notes which epoch the selection rule chooses.

    Puts `val_recall@20` and so on and `selection_score` into the epoch's logs; comes before the callbacks that read them.

    Args:
        evaluator: Ranks the validation split.
        score: The rule: takes the metrics and returns what is to be maximised; None chooses the last epoch.
        restore: Give the model the weights of the chosen epoch when training ends.

    Attributes:
        epoch: The chosen epoch, from 0; -1 before the first.
        logs: Its logs.
        weights: Its trainable weights, if they are to be restored.
    """

    def __init__(
        self, evaluator: RankingEvaluator, score: Callable[[dict[str, float]], float] | None, restore: bool = False
    ):
        super().__init__()
        self._restore = restore
        self.weights: list[np.ndarray] | None = None
        self._evaluator = evaluator
        self._score = score
        self.epoch = -1
        self.logs: dict[str, float] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures the model."""
        logs = {} if logs is None else logs
        metrics = self._evaluator(self.model).metrics
        score = float(epoch) if self._score is None else self._score(metrics)
        better = self.epoch < 0 or np.isnan(self.logs[SELECTION_SCORE]) or score > self.logs[SELECTION_SCORE]
        if better and self._restore:
            self.weights = [variable.numpy() for variable in self.model.trainable_variables]
        logs.update({VALIDATION + name: value for name, value in metrics.items()})
        logs[SELECTION_SCORE] = score
        if better:
            self.epoch, self.logs = epoch, dict(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Gives the model the weights of the chosen epoch back, if that was asked for."""
        del logs
        if self.weights is not None:
            for variable, value in zip(self.model.trainable_variables, self.weights, strict=True):
                variable.assign(value)

    def history(self) -> keras.callbacks.History:
        """Returns Keras's history of the chosen epoch alone: what the trial is judged by."""
        history = keras.callbacks.History()
        history.set_model(self.model)
        history.epoch = [self.epoch]
        history.history = {name: [value] for name, value in self.logs.items()}
        return history
