"""keras-tuner's oracles, made to survive being killed, and a grid that goes on where it stopped.

keras-tuner 1.4.8 writes its state straight over the old one, so that a search which is killed at the wrong moment cannot be
gone on with, and its own grid search loses its place (keras-tuner's issue 1055).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tfadt.atomic import write_text
from tfadt.config import Config
from tfadt.search_space import Value

_NEVER = 1_000_000_000  # failures in a row that end a search: keras-tuner wants a number
_GOLDEN = (math.sqrt(5) - 1) / 2

OwnValues = Callable[[], "dict[str, Value] | None"]


def _none() -> None:
    """Returns None: there are no values of one's own."""


class _Durable(keras_tuner.Oracle):
    """Writes its files whole or not at all, ends no search while a trial is still running, and outlives its workers.

    Args:
        own: Returns what the first trial tries in place of values drawn at random, or None to draw these, too.
        **kwargs: keras-tuner's.

    Attributes:
        heard: When each worker was last heard of, by the monotonic clock.
    """

    trials: dict[str, Trial]
    ongoing_trials: dict[str, Trial]
    _retry_queue: list[str]

    def __init__(self, own: OwnValues = _none, **kwargs: Any):
        self.heard: dict[str, float] = {}
        self._own = own
        super().__init__(**kwargs)

    def _random_values(self) -> dict[str, Value] | None:
        values: dict[str, Value] | None = None if self.start_order else self._own()
        return super()._random_values() if values is None else values

    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        """As in keras-tuner, but a worker waits for the trials of the others before it hears of the end.

        keras-tuner's chief looks only every 20 seconds whether the last worker has gone.
        """
        self.heard[tuner_id] = time.monotonic()
        trial = super().create_trial(tuner_id)
        if trial.status == TrialStatus.STOPPED and self.ongoing_trials:
            trial.status = TrialStatus.IDLE
            self.tuner_ids.add(tuner_id)  # The chief stays until this worker, too, has heard of the end.
        return trial

    def get_trial(self, trial_id: str) -> Trial:
        """Returns a trial, and hears that its worker is at it: workers ask now and then."""
        for tuner_id, trial in list(self.ongoing_trials.items()):  # another thread may give trials meanwhile
            if trial.trial_id == trial_id:
                self.heard[tuner_id] = time.monotonic()
        return self.trials[trial_id]

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        """Takes how a trial ended, once: a worker that was given up may come back before another made its trial or after."""
        if trial.trial_id not in self.end_order:
            super().end_trial(trial)
            self._drop_ended()

    def _drop_ended(self) -> None:
        self._retry_queue = [name for name in self._retry_queue if name not in self.end_order]

    @keras_tuner.synchronized
    def give_up_silent(self, seconds: float) -> list[str]:
        """Gives up the workers that were not heard of for so long, and gives their trials to others, each trial once.

        A trial whose worker falls silent again has failed: it may be what ends them.

        Returns:
            The names of these workers.
        """
        now = time.monotonic()
        silent = [name for name in self.tuner_ids if now - self.heard[name] > seconds]
        for name in silent:
            self.tuner_ids.remove(name)
            trial = self.ongoing_trials.get(name)
            if trial is None:
                continue
            if self._run_times[trial.trial_id]:
                trial.status = TrialStatus.FAILED
                trial.message = "Its worker fell silent, and so did the one that had it before (is there enough memory?)"
                self.end_trial(trial)
            else:
                self._run_times[trial.trial_id] += 1
                self._retry_queue.append(trial.trial_id)
                del self.ongoing_trials[name]
                self.save()
        return silent

    def save(self) -> None:
        """Writes the state."""
        write_text(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial: Trial) -> None:
        write_text(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", json.dumps(trial.get_state()))

    def reload(self) -> None:
        """Reads the state as it was when the search was stopped or killed, and queues the trials that were running."""
        super().reload()
        # A trial that the state does not know was about to be made; one that it knows to have ended was about to leave.
        self.trials = {name: trial for name, trial in self.trials.items() if name in self.start_order}
        self._drop_ended()


class _Random(_Durable, keras_tuner.oracles.RandomSearchOracle):
    pass


class _Bayesian(_Durable, keras_tuner.oracles.BayesianOptimizationOracle):
    pass


class _Hyperband(_Durable, keras_tuner.oracles.HyperbandOracle):
    """Hyperband that goes on with what it has where the space holds fewer combinations than a bracket begins with.

    keras-tuner's ends the search there, before any trial has gone on from another.
    """

    def __init__(self, **kwargs: Any):
        self._first_sizes: dict[str, int] = {}
        super().__init__(**kwargs)

    def _random_trial(self, trial_id: str, bracket: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = super()._random_trial(trial_id, bracket)
        if response["status"] == TrialStatus.RUNNING:
            return response
        self._first_sizes[str(bracket["bracket_num"])] = len(bracket["rounds"][0])
        return self.populate_space(trial_id)

    def _get_size(self, bracket_num: int, round_num: int) -> int:
        size: int = super()._get_size(bracket_num, round_num)
        first = self._first_sizes.get(str(bracket_num))
        return size if first is None else min(size, math.ceil(first / self.factor**round_num))

    def get_state(self) -> dict[str, Any]:
        """Returns the state, JSON-ready."""
        return {**super().get_state(), "first_sizes": self._first_sizes}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes a state up again."""
        super().set_state(state)
        self._first_sizes = state["first_sizes"]


class Grid(_Durable):
    """Tries every combination once, in an order that spreads the first trials over the whole grid.

    Which combination a trial gets depends on its number alone, so a search that was stopped goes on exactly.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the combination of the coming trial."""
        number = len(self.start_order)
        values = [list(hp.values) for hp in self.hyperparameters.space]
        size = math.prod(map(len, values))
        if number >= size:
            return {"status": TrialStatus.STOPPED, "values": None}
        # Steps of about the golden section of the grid, prime to its size: each combination once, neighbours far apart.
        stride = max(1, round(_GOLDEN * size))
        while math.gcd(stride, size) > 1:
            stride += 1
        index = (self.seed + number * stride) % size
        chosen = {}
        for hp, options in zip(self.hyperparameters.space, values, strict=True):
            index, place = divmod(index, len(options))
            chosen[hp.name] = options[place]
        return {"status": TrialStatus.RUNNING, "values": chosen}


def make_oracle(
    config: Config, objective: keras_tuner.Objective, dimensions: int, own: OwnValues = _none
) -> keras_tuner.Oracle:
    """Returns what chooses the trials of a search.

    Args:
        config: The settings; section `tune` says how.
        objective: What to maximise.
        dimensions: How many settings are searched. With none there is one trial.
        own: Returns the values of these that the first trial tries, except in a grid; None for any.
    """
    tune = config.tune
    common: dict[str, Any] = {
        "objective": objective,
        "seed": tune.seed + 1,  # 0 is none for keras-tuner
        "max_consecutive_failed_trials": _NEVER,
    }
    if tune.tuner == "grid" or dimensions == 0:
        return Grid(max_trials=tune.trials, **common)
    common["own"] = own
    if tune.tuner == "hyperband":
        return _Hyperband(max_epochs=config.adt.epochs, factor=tune.factor, **common)
    if tune.tuner == "bayesian":
        # keras-tuner's own three random trials a setting would leave nothing of a small budget to learn from.
        first = min(3 * dimensions, max(3, tune.trials // 3))
        return _Bayesian(max_trials=tune.trials, num_initial_points=first, **common)
    return _Random(max_trials=tune.trials, **common)
