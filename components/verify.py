"""Stage `verify`: proves an exported version before anybody points traffic at it."""

from __future__ import annotations

from tfadt.components.artifacts.saved_model import SavedModel, VerifiedModel
from tfadt.components.artifacts.trained_run import TrainedRun
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config.serving import VerifyConfig


def _check(settings: VerifyConfig) -> None:
    if settings.loader == "require":
        from tfadt.serving.verification.loader_check import find_compiler

        find_compiler()


@component(check=_check)
def verify(
    run: Input[TrainedRun],
    saved_model: Input[SavedModel],
    verified: Output[VerifiedModel],
    settings: Parameter[VerifyConfig],
) -> None:
    """Replays the warm-up requests, runs the C++ loader, ranks the clean test by the served model.

    Args:
        run: The model with its data, settings and metrics, which the served model must reach.
        saved_model: The exported version.
        verified: The same version with its blessing.
        settings: Section `verify`.

    Raises:
        DataError: If a proof fails.
    """
    from tfadt.serving.verification.loader_check import has_compiler
    from tfadt.serving.verification.verify import verify as prove

    with_loader = settings.loader != "skip"
    if settings.loader == "auto" and not has_compiler():
        print("There is no C++ compiler, so the check under the C++ loader is left out.")
        with_loader = False
    prove(verified.copy(saved_model), run.path, with_loader, settings.seconds, print)
