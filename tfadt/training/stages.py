"""Trains one model under one policy with one seed: stage `adt` (the paper's Algorithm 1), and the stages around it.

`warmup` and `finetune` train plainly on the extra feedback, before ADT and after it (section 3.4.1). Each stage has an
optimizer and a training iteration T of its own, a selection and checkpoints; the weights go on from stage to stage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from tfadt.config import ADTConfig, Config, FinetuneConfig, WarmupConfig
from tfadt.data.interactions import InteractionData
from tfadt.denoising.standard import Standard
from tfadt.memory import require_memory
from tfadt.models.recommender import Recommender
from tfadt.optimizers.deferred_adam import DeferredAdam
from tfadt.sampling.negatives import NegativeSampler
from tfadt.training.checkpoints import CheckpointStore
from tfadt.training.interrupts import listening
from tfadt.training.model_files import start_from
from tfadt.training.plans import ON_EXTRA_FEEDBACK, Plan, check_extra_feedback, make_model, make_policy
from tfadt.training.progress import Progress, ProgressCallback
from tfadt.training.selection import Selection, selection_score
from tfadt.training.state import Checkpointing


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes:
        model: The model with the selected weights.
        history: One row an epoch: its stage, loss, realised drop rate, and with feedback the quality of the dropped set.
        best_step: The step of the last stage whose weights were selected.
        selection_score: Their score; None under the rule `last`.
        without_negative: Training interactions of users who have every item, which got no negative.
        seconds: Wall time of training, validation included.
        warmup_space: The users' vectors after warm-up, float32 `[num_users, d]`: the space E of colliding inference; None
            without that stage.
    """

    model: Recommender
    history: pd.DataFrame
    best_step: int
    selection_score: float | None
    without_negative: int
    seconds: float
    warmup_space: np.ndarray | None = None

    @property
    def drop_rate(self) -> float:
        """Share of the rows that the last epoch of ADT dropped; 0 without that stage."""
        rates = self.history.loc[self.history["stage"] == "adt", "drop_rate"]
        return float(rates.iloc[-1]) if len(rates) else 0.0


def make_sampler(data: InteractionData, config: Config, seed: int) -> NegativeSampler:
    """Builds what draws negatives, for every stage: uniform or by popularity, outside all that is known of the user.

    That is the training clicks and the extra feedback (eq. 7 draws negatives outside all implicit feedback), or all splits.
    """
    splits = ("train",) if config.adt.exclude == "train" else ("train", "valid", "test")
    excluded = data.history(*splits, *(() if data.extra_feedback is None else ("extra_feedback",)))
    mass = None
    if config.adt.negatives == "popularity":
        mass = np.bincount(data.train.item, minlength=data.num_items)
        # An item that only validation or test knows must still have a place on the line to be cut out of it.
        mass[excluded.items] = np.maximum(mass[excluded.items], 1)
    return NegativeSampler(excluded, data.num_items, mass, seed)


def train(
    plan: Plan,
    data: InteractionData,
    config: Config,
    logs: Path | None = None,
    progress: Progress | None = None,
    checkpoints: CheckpointStore | None = None,
    weights: Path | None = None,
) -> Trained:
    """Trains one model under one policy through the stages of its plan, from its newest checkpoint on if it has one.

    Args:
        plan: Which.
        data: The data set.
        config: The settings.
        logs: Folder for TensorBoard; None for none.
        progress: Hears how the training goes on.
        checkpoints: Where to keep checkpoints; None for none.
        weights: A model file whose weights to start from; default: what `adt.start_from` has of the plan, if it is set.

    Raises:
        ConfigError: If a setting does not fit.
        DataError: If the data does not allow the training, or the weights to start from are of other data.
        DivergedError: If the loss of a step is not finite.
        InterruptedRunError: If SIGINT or SIGTERM asked the training to stop; it has kept a checkpoint.
        OutOfMemoryError: If the model needs more memory than there is.
    """
    check_extra_feedback([plan], data, config)
    model = make_model(plan.model, plan.seed, data, config)
    check_memory(plan.model, model)
    if weights is None and config.adt.start_from is not None:
        weights = config.adt.start_from / "models" / f"{plan.name}.keras"
    if weights is not None:
        start_from(model, weights)
    done: list[Trained] = []
    for stage in plan.stages:
        # A stage that is finished goes on from its last checkpoint: no step is left, and its selected weights come back.
        store = None if checkpoints is None else CheckpointStore(checkpoints.folder / stage)
        label = plan.name if len(plan.stages) == 1 else f"{plan.name} {stage}"
        stage_logs = None if logs is None else logs / stage
        done.append(_train_stage(stage, label, plan, model, data, config, stage_logs, progress or Progress(), store))
    spaces = [trained.warmup_space for trained in done if trained.warmup_space is not None]
    return replace(
        done[-1],
        history=pd.concat([trained.history for trained in done], ignore_index=True),
        without_negative=max(trained.without_negative for trained in done),
        seconds=sum(trained.seconds for trained in done),
        warmup_space=spaces[0] if spaces else None,
    )


def _train_stage(
    stage: str,
    label: str,
    plan: Plan,
    model: Recommender,
    data: InteractionData,
    config: Config,
    logs: Path | None,
    listener: Progress,
    checkpoints: CheckpointStore | None,
) -> Trained:
    """Trains the model through one stage; see `train`."""
    adt = config.adt
    extra = data.extra_feedback if stage in ON_EXTRA_FEEDBACK else None
    settings: WarmupConfig | FinetuneConfig | ADTConfig = getattr(config, stage)
    model.compile(
        DeferredAdam(settings.learning_rate, epsilon=adt.adam_epsilon),
        make_policy(plan.policy, config) if extra is None else Standard(),
        adt.objective,
    )
    rows = model.training_rows(data) if extra is None else extra
    sampler = make_sampler(data, config, plan.seed)
    batch_size = adt.user_batch_size if model.user_batches else adt.batch_size
    source = model.batch_source(rows, sampler, batch_size, adt.num_negatives)
    total_steps = source.steps_per_epoch * settings.epochs
    every = adt.eval_every or source.steps_per_epoch
    keep_every = adt.checkpoint_every or source.steps_per_epoch
    score = selection_score(
        adt.selection, model, data, sampler, config.evaluate.k[0], adt.batch_size, adt.fixed_valid_negatives
    )
    selection = Selection(score, every, total_steps)
    with listening() as interrupt:
        keeper = Checkpointing(checkpoints, keep_every, selection, interrupt, total_steps)
        done = keeper.restore(model)
        callbacks: list[keras.callbacks.Callback] = [selection, keeper, ProgressCallback(listener)]
        if logs is not None:
            callbacks.append(keras.callbacks.TensorBoard(str(logs), write_graph=False))
        listener.begin(label, total_steps)
        stops = (every, keep_every)
        model.fit_source(source, settings.epochs, adt.steps_per_call, stops, looks=(every,), done=done, callbacks=callbacks)
    return Trained(
        model,
        pd.DataFrame(keeper.epochs).rename_axis("epoch").reset_index().assign(stage=stage),
        selection.best_step,
        selection.best_score,
        source.without_negative,
        keeper.seconds,
        model.user_space() if stage == "warmup" else None,
    )


def check_memory(name: str, model: Recommender) -> None:
    """Raises OutOfMemoryError if there is no room for what training adds to the model's weights."""
    weights = 4 * sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    require_memory(
        f"Training {name} (momentum, velocity, the rows as they are shown and the best weights so far)",
        4 * weights,
        f"the sizes in model.{name}",
    )
