"""Stage `verify`: proves an exported version before anybody points traffic at it."""

from __future__ import annotations

from tfadt.components.artifacts.evaluation import Evaluation
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.artifacts.saved_model import SavedModel, VerifiedModel
from tfadt.components.component import component
from tfadt.components.runs import as_run
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config import Config
from tfadt.config_pipeline import VerifyConfig


def _check(settings: Config) -> None:
    if settings.verify.loader == "require":
        from tfadt.serving.loader_check import find_compiler

        find_compiler()


@component(check=_check)
def verify(
    interactions: Input[Interactions],
    model: Input[Model],
    evaluation: Input[Evaluation],
    saved_model: Input[SavedModel],
    verified: Output[VerifiedModel],
    settings: Parameter[Config],
) -> None:
    """Replays the warm-up requests, runs the C++ loader, ranks the clean test by the served model.

    Args:
        interactions: The data set, whose clean test is ranked.
        model: The trained model.
        evaluation: The metrics that the served model must reach.
        saved_model: The exported version.
        verified: The same version with its blessing.
        settings: Sections `verify` and `evaluate`.

    Raises:
        DataError: If a proof fails.
    """
    from tfadt.serving.verify import verify as prove

    run = as_run(interactions, model, evaluation, settings)
    prove(verified.copy(saved_model), run, _with_loader(settings.verify), settings.verify.seconds, print)


def _with_loader(settings: VerifyConfig) -> bool:
    from tfadt.serving.loader_check import has_compiler

    if settings.loader == "auto" and not has_compiler():
        print("There is no C++ compiler, so the check under the C++ loader is left out.")
        return False
    return settings.loader != "skip"
