"""Stage `adt`: adaptive denoising training (the paper's section 3.3)."""

from __future__ import annotations

from tfadt.components.artifacts.earlier_run import EarlierRun
from tfadt.components.artifacts.extra_feedback import ExtraFeedback
from tfadt.components.artifacts.hyperparameters import Hyperparameters
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter, WorkFolder
from tfadt.components.training import check_training, train_stage
from tfadt.config import Config


@component(check=check_training, accelerated=True)
def adt(
    interactions: Input[Interactions],
    extra_feedback: Input[ExtraFeedback],
    model: Output[Model],
    settings: Parameter[Config],
    work: WorkFolder,
    earlier_run: Input[EarlierRun] | None = None,
    warmed_up: Input[Model] | None = None,
    hyperparameters: Input[Hyperparameters] | None = None,
) -> None:
    """Trains one model under one policy with one seed.

    Args:
        interactions: The data set.
        extra_feedback: What is known beyond it: no negative for its user, and what some policies and models learn from.
        model: The model after this stage.
        settings: Sections `adt` (naming one model, policy and seed), `model` and `policy`; the first of `evaluate.k` is the
            cut-off of the recall that selects checkpoints.
        work: Keeps checkpoints.
        earlier_run: What the first stage of a training goes on from.
        warmed_up: The model after warm-up, to go on from.
        hyperparameters: What a search found, in place of the settings' values.
    """
    train_stage("adt", interactions, extra_feedback, warmed_up, hyperparameters, model, settings, work, earlier_run)
