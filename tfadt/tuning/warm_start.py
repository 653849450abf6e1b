"""What a trial starts from where the plan has a warm-up: the weights that stage `warmup` ends with."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np

from tfadt.config import Config
from tfadt.config.loading import dump
from tfadt.data.interactions import InteractionData
from tfadt.models.recommender import Recommender
from tfadt.training.plan import Plan
from tfadt.training.stages import train


@dataclass(frozen=True)
class Warm:
    """A model after warm-up.

    Attributes:
        weights: Of each trainable variable.
        space: The users' vectors, float32 `[num_users, d]`: the space E of colliding inference.
    """

    weights: list[np.ndarray]
    space: np.ndarray

    def give(self, model: Recommender) -> None:
        """Gives a model of the same settings these weights."""
        for variable, value in zip(model.trainable_variables, self.weights, strict=True):
            variable.assign(value)


class WarmStart:
    """Trains stage `warmup`, once for all trials that differ in settings that it does not know.

    Args:
        data: The data set.
        plan: The plan of the trials.
    """

    def __init__(self, data: InteractionData, plan: Plan):
        self._data = data
        self._plan = replace(plan, stages=("warmup",))
        self._last: tuple[str, Warm] | None = None

    def __call__(self, config: Config) -> Warm:
        """Returns the model after warm-up with these settings."""
        key = _key(config)
        if self._last is None or self._last[0] != key:
            trained = train(self._plan, self._data, config)
            assert trained.warmup_space is not None
            weights = [variable.numpy() for variable in trained.model.trainable_variables]
            self._last = key, Warm(weights, trained.warmup_space)
        return self._last[1]


def _key(config: Config) -> str:
    settings = dump(config)
    del settings["policy"], settings["tune"], settings["adt"]["learning_rate"]
    return json.dumps(settings, sort_keys=True)
