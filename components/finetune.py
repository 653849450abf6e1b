"""Stage `finetune`: plain training on the extra feedback, after ADT (the paper's eq. 7)."""

from __future__ import annotations

from tfadt.components.artifacts.extra_feedback import ExtraFeedback
from tfadt.components.artifacts.hyperparameters import Hyperparameters
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter, WorkFolder
from tfadt.components.training import check_training, train_stage
from tfadt.config import Config


@component(check=check_training, accelerated=True)
def finetune(
    interactions: Input[Interactions],
    extra_feedback: Input[ExtraFeedback],
    trained: Input[Model],
    model: Output[Model],
    settings: Parameter[Config],
    work: WorkFolder,
    hyperparameters: Input[Hyperparameters] | None = None,
) -> None:
    """Goes on with a trained model on what is known to be liked.

    Args:
        interactions: The data set.
        extra_feedback: What is known to be liked.
        trained: The model after ADT.
        model: The model after this stage.
        settings: Sections `finetune`, `adt` (naming one model, policy and seed), `model` and `policy`; the first of
            `evaluate.k` is the cut-off of the recall that selects checkpoints.
        work: Keeps checkpoints.
        hyperparameters: What a search found, in place of the settings' values.
    """
    train_stage("finetune", interactions, extra_feedback, trained, hyperparameters, model, settings, work)
