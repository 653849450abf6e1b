"""How long a training of each model takes here, measured before a study begins."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

from tfadt.config import Config
from tfadt.config.loading import dump, load_config, settings_of, with_settings
from tfadt.data import artifact
from tfadt.data.interactions import InteractionData
from tfadt.registry import PLAIN
from tfadt.study.rows import Seconds
from tfadt.training.plan import Plan, closed_form
from tfadt.training.processes import Tell, side_by_side
from tfadt.training.progress import Progress
from tfadt.training.stages import train


def seconds_of_trainings(
    models: Sequence[str], data: InteractionData, config: Config, processes: int, folder: Path
) -> Seconds:
    """Measures a training of each model, beside others where trainings will go on beside others: they share the cores.

    Args:
        models: Their registered names.
        data: The data set.
        config: The settings of the study.
        processes: How many trainings go on at once.
        folder: Where the data set may lie for so long.
    """
    if min(processes, len(models)) < 2:
        return {model: seconds_of_training(model, data, config) for model in models}
    artifact.save(data, folder)
    # Closed forms, which take least, come last, when they may be alone.
    order = sorted(models, key=lambda model: closed_form(model, config) is not None)
    contents = {model: {"config": dump(config), "data": str(folder), "model": model} for model in order}
    found = dict(side_by_side("tfadt.study.timing:measure_there", contents, processes, dict.fromkeys(order, Progress())))
    shutil.rmtree(folder)
    return {model: tuple(found[model]) for model in models}


def measure_there(content: Mapping[str, Any], tell: Tell) -> tuple[float, float]:
    """Measures a training of one model, in a process that another has started for it."""
    del tell
    return seconds_of_training(content["model"], _loaded(content["data"]), load_config(base=content["config"]))


@lru_cache(maxsize=1)
def _loaded(folder: str) -> InteractionData:
    return artifact.load(Path(folder))


def seconds_of_training(model: str, data: InteractionData, config: Config) -> tuple[float, float]:
    """Returns about how long one plain training of a model takes, at least and at most.

    It is measured on two epochs, of which the second compiles nothing, or on all of a closed form. A training that stops
    where validation no longer rises has as many epochs as its patience lasts, and one more, at least.
    """
    plan = Plan(model, PLAIN, config.adt.seed)
    if closed_form(model, config) is not None:
        seconds = train(plan, data, config).seconds
        return seconds, seconds
    own = settings_of(config, model, PLAIN)
    clock = _Clock()
    both = train(plan, data, with_settings(own, {"adt.epochs": 2}), progress=clock).seconds
    an_epoch = clock.seconds_of_last_epoch()
    patient = own.adt.epochs if own.adt.patience is None else ceil(own.adt.patience / own.adt.validations) + 1
    return both + an_epoch * (min(patient, own.adt.epochs) - 2), both + an_epoch * (own.adt.epochs - 2)


class _Clock(Progress):
    """Notes when the steps of a training of two epochs were done."""

    def begin(self, label: str, total_steps: int) -> None:
        del label
        self._steps = total_steps

    def advance(self, step: int, logs: dict[str, Any]) -> None:
        del logs
        if step == self._steps // 2:
            self._first = time.perf_counter()
        self._last = time.perf_counter()

    def seconds_of_last_epoch(self) -> float:
        """Returns how long the validation of the first epoch and the steps of the second one took, without compilation."""
        return self._last - self._first
