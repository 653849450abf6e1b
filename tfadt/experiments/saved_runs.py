"""Ranks the test split again with the models that a run left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tfadt.config import Config
from tfadt.config.loading import dump, load_config
from tfadt.evaluation.protocol import test_evaluator
from tfadt.experiments.comparison import Row, rows
from tfadt.experiments.experiment import most_popular
from tfadt.experiments.run import Run
from tfadt.experiments.saved import SavedRun
from tfadt.training.plan import ADT_ALONE


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
    trained = [entry for entry in saved.results["runs"] if entry["policy"] is not None]
    for name, entry in zip(saved.names, trained, strict=True):
        begun = time.perf_counter()
        evaluation = evaluator(saved.load_model(name))
        runs.append(
            Run(
                entry["model"],
                entry["policy"],
                entry["seed"],
                entry["selection"],
                evaluation,
                entry["realised_drop_rate"],
                entry["best_step"],
                entry["selection_score"],
                entry["without_negative"],
                time.perf_counter() - begun,
                entry.get("plan", ADT_ALONE),
            )
        )
    return config, rows(runs)
