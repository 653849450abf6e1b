"""Stage `adt`: adaptive denoising training (the paper's section 3.3)."""

from __future__ import annotations

from pathlib import Path

from tfadt.components.artifacts.extra_feedback import ExtraFeedback
from tfadt.components.artifacts.hyperparameters import Hyperparameters
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter, WorkFolder
from tfadt.config import Config


def _check(settings: Config) -> None:
    from tfadt.training.plans import check_policy, plans

    for plan in plans(settings):
        check_policy(plan.policy, settings)


def _earlier_models(settings: Config) -> list[Path]:
    return [] if settings.adt.start_from is None else [settings.adt.start_from / "models"]


@component(reads=_earlier_models, check=_check, accelerated=True)
def adt(
    interactions: Input[Interactions],
    extra_feedback: Input[ExtraFeedback],
    model: Output[Model],
    settings: Parameter[Config],
    work: WorkFolder,
    hyperparameters: Input[Hyperparameters] | None = None,
) -> None:
    """Trains one model under one policy with one seed, from its newest checkpoint on if it was cut.

    Args:
        interactions: The data set.
        extra_feedback: What is known beyond it: no negative for its user, and what some policies and models learn from.
        model: The trained model.
        settings: Sections `adt` (naming one model, policy and seed), `model` and `policy`; the first of `evaluate.k` is
            the cut-off of the recall that selects checkpoints.
        work: Keeps checkpoints.
        hyperparameters: What a search found, in place of the settings' values.
    """
    from tfadt.training.checkpoints import CheckpointStore
    from tfadt.training.plans import plans
    from tfadt.training.progress import PrintedProgress
    from tfadt.training.stages import train

    if hyperparameters is not None:
        settings = hyperparameters.apply(settings)
    (plan,) = plans(settings)
    checkpoints = CheckpointStore(work / "checkpoints")
    trained = train(plan, interactions.read(extra_feedback), settings, model.path / "logs", PrintedProgress(), checkpoints)
    model.write(trained, plan, settings)
