"""Stage `export`: a trained model becomes a version that TensorFlow Serving loads."""

from __future__ import annotations

import time

from tfadt.components.artifacts.evaluation import Evaluation
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.artifacts.saved_model import SavedModel
from tfadt.components.component import component
from tfadt.components.runs import as_run
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config import Config


@component
def export(
    interactions: Input[Interactions],
    model: Input[Model],
    evaluation: Input[Evaluation],
    saved_model: Output[SavedModel],
    settings: Parameter[Config],
) -> None:
    """Exports the model under the next version: seconds since 1970, so that a newer one is always the larger.

    Args:
        interactions: The data set.
        model: The trained model.
        evaluation: Its metrics, which the served model must reach.
        saved_model: The version.
        settings: Sections `export` and `evaluate` (what is left out as seen).
    """
    from tfadt.serving.exporter import export_run

    run = as_run(interactions, model, evaluation, settings)
    export_run(run, saved_model.path, version=int(time.time()), say=print)
