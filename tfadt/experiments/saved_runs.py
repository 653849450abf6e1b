"""Ranks the test split again with the models that a run left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tfadt.config import Config
from tfadt.config.loading import dump, load_config
from tfadt.evaluation.protocol import test_evaluator
from tfadt.experiments.comparison import Row, rows
from tfadt.experiments.experiment import measure, most_popular
from tfadt.experiments.saved import SavedRun


def evaluate_again(folder: Path, overrides: Sequence[str] = ()) -> tuple[Config, list[Row]]:
    """Returns the settings and the table of a run, evaluated afresh.

    Args:
        folder: The run's folder.
        overrides: Settings such as `evaluate.k=10,100` in place of the run's.

    Raises:
        DataError: If the run cannot be read.
        ConfigError: If a setting cannot be used.
    """
    saved = SavedRun.open(folder)
    config = load_config(None, overrides, dump(saved.config))
    evaluator = test_evaluator(saved.data, config)
    runs = [most_popular(saved.data, evaluator)]
    for run in saved.runs:
        if run.policy is not None:
            untimed = replace(run, valid_recall=None, seconds=0.0)
            runs.append(measure(untimed, saved.load_model(run.name), saved.data, config, evaluator))
    return config, rows(runs)
