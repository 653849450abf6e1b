"""What a trial is judged by: a ranking metric on validation, at the epoch that the selection rule chooses."""

from __future__ import annotations

import re
from typing import Any

import keras_tuner

from tfadt.config import Config
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, did_you_mean
from tfadt.evaluation.metrics import METRICS
from tfadt.evaluation.rules import selection_k
from tfadt.training.selection import SELECTION_SCORE

VALIDATION = "val_"  # begins the names of what is measured on validation


def objective_metric(config: Config, data: InteractionData) -> tuple[str, int]:
    """Returns the metric that trials are judged by and its cut-off, such as `("recall", 20)`.

    Raises:
        ConfigError: If there is no such metric.
    """
    return named_objective(config) or ("recall", selection_k(config, data))


def named_objective(config: Config) -> tuple[str, int] | None:
    """Returns what `tune.objective` names; None where it leaves that to the data.

    Raises:
        ConfigError: If there is no such metric.
    """
    text = config.tune.objective
    if text is None:
        return None
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
