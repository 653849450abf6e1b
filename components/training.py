"""What the stages warmup, adt and finetune have in common."""

from __future__ import annotations

from pathlib import Path

from tfadt.components.artifacts.earlier_run import EarlierRun
from tfadt.components.artifacts.extra_feedback import ExtraFeedback
from tfadt.components.artifacts.hyperparameters import Hyperparameters
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.artifacts.representation import Representation
from tfadt.config import Config


def check_training(settings: Config) -> None:
    """Raises ConfigError if the settings of the model or the policy cannot be used."""
    from tfadt.experiments.plans import plans

    plans(settings)


def train_stage(
    stage: str,
    interactions: Interactions,
    extra_feedback: ExtraFeedback,
    earlier: Model | None,
    hyperparameters: Hyperparameters | None,
    model: Model,
    settings: Config,
    work: Path,
    earlier_run: EarlierRun | None = None,
    representation: Representation | None = None,
) -> None:
    """Trains the one model, policy and seed of the settings through one stage, from its newest checkpoint on.

    Args:
        stage: `warmup`, `adt` or `finetune`.
        interactions: The data set.
        extra_feedback: What is known beyond it.
        earlier: The model after the stage before; None for the first.
        hyperparameters: What a search found, in place of the settings' values.
        model: The model to write.
        settings: Sections `warmup`, `adt`, `finetune`, `model`, `policy`, and `evaluate` for the cut-off that selects.
        work: Keeps checkpoints, and the batch of a training that diverged.
        earlier_run: The run that the first stage goes on from.
        representation: Where to write the users' vectors after warm-up.

    Raises:
        ConfigError, DataError, DivergedError, OutOfMemoryError: As in `tfadt.training.stages.train`.
    """
    import keras

    from tfadt.errors import DivergedError
    from tfadt.experiments.folder import RunFolder
    from tfadt.training.plan import Plan
    from tfadt.training.progress import PrintedProgress
    from tfadt.training.stages import train

    # Keras's names begin anew, so that equal steps leave equal files.
    keras.backend.clear_session(free_memory=False)
    if hyperparameters is not None:
        settings = hyperparameters.apply(settings)
    plan = Plan(settings.adt.models[0], settings.adt.policies[0], settings.adt.seed, (stage,))
    folder = RunFolder(work)
    weights = earlier.file if earlier is not None else earlier_run.file if earlier_run is not None else None
    try:
        trained = train(
            plan,
            interactions.read(extra_feedback),
            settings,
            model.path / "logs",
            PrintedProgress(),
            folder.checkpoint_store(plan),
            weights,
        )
    except DivergedError as error:
        raise DivergedError(f"{error} It is in {folder.keep_batch(plan, error)}.", error.step, error.batch) from error
    if representation is not None and trained.warmup_space is not None:
        representation.write(trained.warmup_space)
    model.write(stage, trained, plan, settings, earlier)
