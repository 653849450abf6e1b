"""Stage `export`: a trained model becomes a version that TensorFlow Serving loads."""

from __future__ import annotations

import time

from tfadt.components.artifacts.saved_model import SavedModel
from tfadt.components.artifacts.trained_run import TrainedRun
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config import ExportConfig


def _check(settings: ExportConfig) -> None:
    from tfadt.serving.requests import check_installed
    from tfadt.serving.versions import check_model_name

    check_installed()
    if settings.name is not None:
        check_model_name(settings.name)


@component(check=_check)
def export(run: Input[TrainedRun], saved_model: Output[SavedModel], settings: Parameter[ExportConfig]) -> None:
    """Exports the model under the next version: seconds since 1970, so that a newer one is always the larger.

    Args:
        run: The model with its data, settings and metrics.
        saved_model: The version.
        settings: Section `export`.
    """
    from tfadt.serving.export.exporter import export_run

    export_run(run.read(), saved_model.path, config=settings, version=int(time.time()), say=print)
