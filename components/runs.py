"""A trained model with its data and settings, as the library's verbs take it from the folder of `tfadt run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfadt.components.artifacts.evaluation import Evaluation
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.config import Config

if TYPE_CHECKING:
    from tfadt.training.saved import SavedRun


def as_run(interactions: Interactions, model: Model, evaluation: Evaluation, settings: Config) -> SavedRun:
    """Returns a run of one model, read from artifacts."""
    from tfadt.training.runs import ADT_ALONE, training_name
    from tfadt.training.saved import SavedRun

    row = {**model.training(), "metrics": evaluation.metrics()}
    name = training_name(row["model"], row["policy"], row.get("plan", ADT_ALONE), row["seed"])
    return SavedRun(model.path, {"runs": [row]}, settings, interactions.read(), {name: model.path / "model.keras"})
