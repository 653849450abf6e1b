"""Stage `warmup`: plain training on the extra feedback, before ADT (the paper's section 3.4.1)."""

from __future__ import annotations

from tfadt.components.artifacts.earlier_run import EarlierRun
from tfadt.components.artifacts.extra_feedback import ExtraFeedback
from tfadt.components.artifacts.hyperparameters import Hyperparameters
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.artifacts.representation import Representation
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter, WorkFolder
from tfadt.components.training import check_training, train_stage
from tfadt.config import Config


@component(check=check_training, accelerated=True)
def warmup(
    interactions: Input[Interactions],
    extra_feedback: Input[ExtraFeedback],
    model: Output[Model],
    representation: Output[Representation],
    settings: Parameter[Config],
    work: WorkFolder,
    earlier_run: Input[EarlierRun] | None = None,
    hyperparameters: Input[Hyperparameters] | None = None,
) -> None:
    """Trains a new model, or that of an earlier run, on what is known to be liked.

    Args:
        interactions: The data set.
        extra_feedback: What is known to be liked.
        model: The model after this stage.
        representation: The users' vectors after this stage.
        settings: Sections `warmup`, `adt` (naming one model, policy and seed), `model` and `policy`; the first of
            `evaluate.k` is the cut-off of the recall that selects checkpoints.
        work: Keeps checkpoints.
        earlier_run: What the training goes on from.
        hyperparameters: What a search found, in place of the settings' values.
    """
    train_stage(
        "warmup", interactions, extra_feedback, None, hyperparameters, model, settings, work, earlier_run, representation
    )
