"""Trains one model under one policy with one seed: stage `adt` (the paper's Algorithm 1), and the stages around it.

`warmup` and `finetune` train plainly on the extra feedback, before ADT and after it (section 3.4.1). Each stage has an
optimizer and a training iteration T of its own, a selection and checkpoints; the weights go on from stage to stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tfadt.config import ADTConfig, Config, FinetuneConfig, WarmupConfig
from tfadt.config.loading import settings_of
from tfadt.data.interactions import InteractionData
from tfadt.denoising.noise_model import NoiseModel
from tfadt.denoising.noise_weights import NoiseWeights
from tfadt.denoising.standard import Standard
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.evaluation.rules import selection_k, selection_rule
from tfadt.memory import require_memory
from tfadt.models.closed_form import ClosedForm
from tfadt.models.noise_ranked import NoiseRanked
from tfadt.models.recommender import Recommender
from tfadt.optimizers.deferred_adam import DeferredAdam
from tfadt.optimizers.rates import learning_rate
from tfadt.sampling.negatives import NegativeSampler
from tfadt.sampling.shared import SharedSampler
from tfadt.training.checkpoints import CheckpointStore
from tfadt.training.closed_forms import Solved, solve
from tfadt.training.interrupts import listening
from tfadt.training.model_files import start_from
from tfadt.training.plan import ON_EXTRA_FEEDBACK, Plan, check_feedback, check_training, make_model, make_policy
from tfadt.training.progress import Progress, ProgressCallback
from tfadt.training.recipe import settled
from tfadt.training.selection import RankedScore, Selection, selection_score
from tfadt.training.state import Checkpointing


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes:
        model: The model with the selected weights.
        history: One row an epoch: its stage, loss, realised drop rate, and with feedback the quality of the dropped set.
        best_step: The step of the last stage whose weights were selected.
        selection_score: Their score; None under the rule `last`.
        steps_per_epoch: Steps in which the last stage visits each row once.
        without_negative: Training interactions of users who have every item, which got no negative.
        seconds: Wall time of training, validation included.
        drop_rate: Share of the rows that ADT dropped in the epoch whose weights were selected; 0 without that stage.
        selected_logs: The logs of the last stage's epoch whose weights were selected.
        warmup_space: The users' vectors after warm-up, float32 `[num_users, d]`: the space E of colliding inference; None
            without that stage.
        adt_step: The step of ADT whose weights were selected; None without that stage.
        selection: The rule that selected the weights; never `auto`, but what that stands for.
        strength: How the strength of denoising was chosen, JSON-ready; None where it was set.
        devices: Devices that shared each batch.
    """

    model: Recommender
    history: pd.DataFrame
    best_step: int
    selection_score: float | None
    steps_per_epoch: int
    without_negative: int
    seconds: float
    drop_rate: float
    selected_logs: dict[str, float]
    selection: str
    warmup_space: np.ndarray | None = None
    adt_step: int | None = None
    strength: dict[str, Any] | None = None
    devices: int = 1


def make_sampler(data: InteractionData, config: Config, seed: int) -> NegativeSampler | SharedSampler:
    """Builds what draws negatives, for every stage: shared ones, or by row outside all that is known of the user.

    That is the training clicks and the extra feedback (eq. 7 draws negatives outside all implicit feedback), or all splits.
    """
    if config.adt.negatives == "shared":
        return SharedSampler(data.num_items, config.adt.num_negatives, seed)
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
    strategy: tf.distribute.Strategy | None = None,
) -> Trained:
    """Trains one model under one policy through the stages of its plan, from its newest checkpoint on if it has one.

    Args:
        plan: Which.
        data: The data set.
        config: The settings.
        logs: Folder for TensorBoard; None for none.
        progress: Hears how the training goes on.
        checkpoints: Where to keep checkpoints; None for none.
        weights: A model file whose weights to start from; None for new ones.
        strategy: Over whose devices to train; default what `adt.strategy` says.

    Raises:
        ConfigError: If a setting does not fit.
        DataError: If the data does not allow the training, or the weights to start from are of other data.
        DeviceError: If a device or a worker was lost.
        DivergedError: If the loss of a step is not finite.
        InterruptedRunError: If SIGINT or SIGTERM asked the training to stop; it has kept a checkpoint.
        OutOfMemoryError: If the model needs more memory than there is.
    """
    config = settings_of(config, plan.model, plan.policy)
    check_training(plan.model, plan.policy, plan.stages, config)
    check_feedback([plan], data, config)
    model = make_model(plan.model, plan.seed, data, config, strategy)
    devices = model.strategy.num_replicas_in_sync
    if progress is not None and config.adt.strategy != "none" and devices == 1 and not isinstance(model, ClosedForm):
        progress.say(f"{plan.name}: adt.strategy={config.adt.strategy} found one device, which trains alone")
    check_memory(plan.model, model, config)
    if weights is not None and not isinstance(model, ClosedForm):  # which goes on from no weights
        start_from(model, weights)
    done: list[Trained] = []
    for stage in plan.stages:
        # A stage that is finished goes on from its last checkpoint: no step is left, and its selected weights come back.
        store = None if checkpoints is None else CheckpointStore(checkpoints.folder / stage)
        compile_stage(model, stage, plan.policy, config)
        boards = [] if logs is None else [keras.callbacks.TensorBoard(str(logs / stage), write_graph=False)]
        label = plan.name if len(plan.stages) == 1 else f"{plan.name} {stage}"
        done.append(train_stage(model, stage, data, config, boards, store=store, progress=progress, label=label))
    spaces = [trained.warmup_space for trained in done if trained.warmup_space is not None]
    return replace(
        done[-1],
        model=as_ranked(done[-1].model, plan.policy, data, config),
        history=pd.concat([trained.history for trained in done], ignore_index=True),
        without_negative=max(trained.without_negative for trained in done),
        seconds=sum(trained.seconds for trained in done),
        drop_rate=sum(trained.drop_rate for trained in done),
        adt_step=next((trained.adt_step for trained in done if trained.adt_step is not None), None),
        warmup_space=spaces[0] if spaces else None,
    )


def as_ranked(model: Recommender, policy: str, data: InteractionData, config: Config) -> Recommender:
    """Returns the model as it is to rank: with the noise model, where its policy says so."""
    made = make_policy(policy, config)
    if not isinstance(made, NoiseWeights) or not made.gamma:
        return model
    noise = NoiseModel.fit(data.train, data.num_users, data.num_items, with_taste=False)
    return NoiseRanked.of(model, noise, made.gamma)


def compile_stage(model: Recommender, stage: str, policy: str, config: Config) -> None:
    """Compiles a model for a stage: a fresh optimizer, and the policy for `adt` or plain training for the other stages.

    A closed form has no optimizer: it takes the policy alone.
    """
    made = Standard() if stage in ON_EXTRA_FEEDBACK else make_policy(policy, config)
    if isinstance(model, ClosedForm):
        model.policy = made
        return
    adt = settled(config.adt, model, model.seen)
    rate = learning_rate(_settings(stage, config).learning_rate, adt.learning_rate_schedule)
    with model.strategy.scope():
        optimizer = DeferredAdam(rate, adt.adam_beta_1, adt.adam_beta_2, epsilon=adt.adam_epsilon)
    model.compile(optimizer, made, adt.objective, float(adt.l2), adt.negative_weight)


def train_stage(
    model: Recommender,
    stage: str,
    data: InteractionData,
    config: Config,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    *,
    store: CheckpointStore | None = None,
    continued: CheckpointStore | None = None,
    evaluator: RankingEvaluator | None = None,
    epochs: int | None = None,
    initial_epoch: int = 0,
    verbose: Any = 0,
    progress: Progress | None = None,
    label: str = "",
) -> Trained:
    """Trains a model through one stage and gives it the selected weights: the loop of runs, pipelines and searches.

    Its steps are those of a user's `Recommender.fit(data)`: both call `fit_source`, so that nothing is trained in two ways.

    Args:
        model: The model, compiled with `compile_stage`; its seed is that of every draw.
        stage: `warmup`, `adt` or `finetune`.
        data: The data set.
        config: The settings.
        callbacks: Come after those of the stage; the epoch's logs hold `selection_score`.
        store: Where to keep checkpoints, and where to go on from the newest one; None for none.
        continued: The checkpoints of another training, which this one goes on from at `initial_epoch`.
        evaluator: Ranks the validation interactions of the selection rule at each measurement, one an epoch whatever
            `adt.validations` says, for `val_recall@20` and so on in the epoch's logs; patience lasts as many epochs.
        epochs: Passes over the rows, those before `initial_epoch` counted; default the stage's. The policy's schedule is
            always settled for the stage's, if these are more.
        initial_epoch: Passes that the other training made.
        verbose: As in Keras.
        progress: Hears how the training goes on.
        label: What it is called there.

    Raises:
        DivergedError: If the loss of a step is not finite.
        InterruptedRunError: If SIGINT or SIGTERM asked the training to stop; it has kept a checkpoint.
    """
    adt, settings = settled(config.adt, model, model.seen), _settings(stage, config)
    config = config.model_copy(update={"adt": adt})
    extra = data.extra_feedback if stage in ON_EXTRA_FEEDBACK else None
    rows = model.training_rows(data) if extra is None else extra
    if isinstance(model, ClosedForm):
        return _solved(model, stage, solve(model, rows, data, config, callbacks, evaluator, progress, label))
    with model.strategy.scope():  # what a step reads lies on each device
        sampler = make_sampler(data, config, model.seed)
        model.policy.build(rows, model.num_users, model.num_items)
        source = model.batch_source(
            rows,
            sampler,
            adt.user_batch_size if model.user_batches else adt.batch_size,
            adt.num_negatives,
        )
    epochs = settings.epochs if epochs is None else epochs
    total_steps = source.steps_per_epoch * epochs
    every, patience = source.steps_per_epoch, adt.patience
    if evaluator is None:
        every = adt.eval_every or -(-source.steps_per_epoch // adt.validations)
    elif patience is not None:  # as many epochs as without the evaluator
        patience = -(-patience // adt.validations)
    keep_every = adt.checkpoint_every or source.steps_per_epoch
    k = selection_k(config, data)
    listener = progress or Progress()
    rule = selection_rule(adt.selection, data)
    trained_rows = len(rows) * (1 + adt.num_negatives) * every // source.steps_per_epoch
    score = selection_score(model, data, config, sampler, listener.ranked, trained_rows)
    ranked = None if evaluator is None else RankedScore(evaluator, model, rule, score, k)
    with listening() as interrupt:
        metrics = ranked.metrics if ranked else {}
        selection = Selection(ranked or score, every, total_steps, metrics, patience, adt.ema_momentum)
        keeper = Checkpointing(store, keep_every, selection, interrupt, total_steps)
        done = keeper.restore(model, store) if continued is None else 0
        if continued is not None:
            keeper.restore(model, continued)
        if selection.exhausted and done:  # it was over: its epochs are those that it made, and no step is left of them
            epochs = -(-done // source.steps_per_epoch)
            done = epochs * source.steps_per_epoch
        listener.begin(label, total_steps)
        model.fit_source(
            source,
            epochs,
            adt.steps_per_call,
            stops=(every, keep_every),
            looks=(every,),
            done=done,
            verbose=verbose,
            callbacks=[selection, keeper, ProgressCallback(listener), *callbacks],
            initial_epoch=initial_epoch,
            horizon=max(settings.epochs, epochs) * source.steps_per_epoch,
        )
    return Trained(
        model,
        pd.DataFrame(keeper.epochs).rename_axis("epoch").reset_index().assign(stage=stage),
        selection.best_step,
        selection.best_score,
        source.steps_per_epoch,
        source.without_negative,
        keeper.seconds,
        selection.best_logs["drop_rate"] if stage == "adt" else 0.0,
        selection.best_logs,
        rule,
        model.user_space() if stage == "warmup" else None,
        selection.best_step if stage == "adt" else None,
        devices=model.strategy.num_replicas_in_sync,
    )


def _solved(model: ClosedForm, stage: str, solved: Solved) -> Trained:
    """Returns a stage of a closed form as if it had trained for one step."""
    return Trained(
        model,
        solved.candidates.rename_axis("epoch").reset_index().assign(stage=stage),
        1,
        solved.score,
        1,
        0,
        solved.seconds,
        0.0,
        solved.logs,
        solved.rule,
        model.user_space() if stage == "warmup" else None,
        1 if stage == "adt" else None,
    )


def _settings(stage: str, config: Config) -> WarmupConfig | FinetuneConfig | ADTConfig:
    settings: WarmupConfig | FinetuneConfig | ADTConfig = getattr(config, stage)
    return settings


def check_memory(name: str, model: Recommender, config: Config) -> None:
    """Raises OutOfMemoryError if there is no room for what training adds to the model's weights."""
    weights = 4 * sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    require_memory(
        f"Training {name} (momentum, velocity, the rows as they are shown, the best weights so far and their average)",
        (7 if config.adt.ema_momentum else 4) * weights,  # the average before, the one measured, and the weights meanwhile
        f"the sizes in model.{name}",
    )
