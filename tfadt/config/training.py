"""Settings of the stages that train: `warmup`, `adt` and `finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, field_validator
from pydantic_core import PydanticCustomError

from tfadt.config.section import Section
from tfadt.errors import ConfigError


def _l2(value: Any) -> float | Literal["auto"]:
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise PydanticCustomError("l2", "expected auto or a number of at least 0")
    return float(value)


class WarmupConfig(Section):
    """Stage `warmup`: plain training on the extra feedback, before ADT (the paper's section 3.4.1).

    What it shares with ADT (batches, objective, negatives, selection) it takes from there.
    """

    epochs: int = Field(default=10, ge=1)
    """Passes over the extra feedback."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam."""


class FinetuneConfig(Section):
    """Stage `finetune`: plain training on the extra feedback, after ADT (eq. 7)."""

    epochs: int = Field(default=10, ge=1)
    """Passes over the extra feedback."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Learning rate of Adam."""


STAGES = ("warmup", "adt", "finetune")
"""The stages of a training, in their order."""

ADT_ALONE = "adt"
"""The plan of one stage, which names leave out."""


def check_plan(plan: str) -> str:
    """Returns a plan as it is.

    Raises:
        ConfigError: If it does not name stages in their order.
    """
    stages = plan.split("+")
    if stages != [stage for stage in STAGES if stage in stages]:
        raise ConfigError(f"expected some of {'+'.join(STAGES)} in this order, such as warmup+adt")
    return plan


def method_name(model: str, policy: str, plan: str) -> str:
    """Returns what `adt.trainings` calls a training: `gmf-t_ce`, or with other stages `gmf-t_ce-warmup+adt`."""
    return "-".join([model, policy, *([] if plan == ADT_ALONE else [plan])])


def training_name(model: str, policy: str, plan: str, seed: int) -> str:
    """Returns the file name of what a training leaves: `gmf-t_ce-0`, or with other stages `gmf-t_ce-warmup+adt-0`."""
    return f"{method_name(model, policy, plan)}-{seed}"


class ADTConfig(Section):
    """Stage `adt`: adaptive denoising training (the paper's section 3.3)."""

    preset: Literal["paper", "strong"] = "strong"
    """Recipe: settings of `adt`, `model` and `policy` that hold unless they are given. `paper` is the authors', `strong` one
    that is worth deploying; docs/recipe.md has both."""
    models: tuple[str, ...] = Field(default=("gmf", "neumf", "cdae", "ease", "ials"), min_length=1)
    """Models to train, by registered name; the most popular items stand beside them in any case."""
    policies: tuple[str, ...] = Field(default=("standard", "t_ce", "r_ce", "clean_only"), min_length=1)
    """Denoising policies to train each model with, by registered name. `clean_only` of the default, the oracle, is left out
    where there is no feedback to tell it what is clean."""
    plans: tuple[str, ...] = Field(default=("adt",), min_length=1)
    """Stages that each model and policy trains in, joined by + in their order, such as `warmup+adt` or `adt+finetune`."""
    trainings: tuple[str, ...] = ()
    """Trainings by name, such as `gmf-t_ce` or `gmf-t_ce-warmup+adt`, in place of every model with every policy and plan."""
    seeds: int = Field(default=1, ge=1)
    """Number of runs of each model and policy."""
    seed: int = Field(default=0, ge=0)
    """First seed."""
    epochs: int = Field(default=10, ge=1)
    """Passes over the training interactions."""
    batch_size: int = Field(default=1024, ge=1)
    """Rows a step, negatives included (pairs for BPR); CDAE takes `user_batch_size` users instead."""
    user_batch_size: int = Field(default=128, ge=1)
    """Users a step, for models that train by user (CDAE)."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam."""
    learning_rate_schedule: Literal["constant", "cosine"] = "constant"
    """How the learning rate of each stage moves: not at all, or along a half cosine to zero over the stage's epochs."""
    l2: Annotated[float | Literal["auto"], PlainValidator(_l2)] = 0.0
    """Weight of the L2 penalty on the table rows that a step reads: half the mean square length of the rows read from each
    table, added to the loss; item biases of GMF and NeuMF are not penalised. The fewer clicks a user has, the more helps:
    `auto` is 1 / (training clicks of a user who has some), against shared negatives and all items 1 / (these)^.85."""
    adam_beta_1: float = Field(default=0.9, gt=0, lt=1)
    """Decay of Adam's momentum."""
    adam_beta_2: float = Field(default=0.999, gt=0, lt=1)
    """Decay of Adam's velocity; its square root must be above `adam_beta_1`."""
    adam_epsilon: float = Field(default=1e-8, gt=0)
    """Epsilon of Adam: the authors' (PyTorch's) 1e-8. Keras's own default is 1e-7, ten times as much."""
    objective: Literal["auto", "binary_crossentropy", "square", "bpr", "softmax"] = "binary_crossentropy"
    """Loss that the policies act on. `softmax` is a positive's against shared negatives, or for CDAE against all items.
    `auto` is `binary_crossentropy` where a user has 50 training clicks or more on average, or the model takes no shared
    negatives, and else `softmax` against 32 times `num_negatives` shared negatives, with as many positives a step."""
    num_negatives: int = Field(default=1, ge=1)
    """Sampled negatives for each positive, or with `negatives = "shared"` the items that all of a step share, which want to
    be hundreds; `method.gmf.adt.num_negatives` sets those of one model."""
    negatives: Literal["uniform", "popularity", "shared"] = "uniform"
    """How negatives are drawn: for each positive, or items that all positives of a step share (GMF, CDAE)."""
    negative_weight: float = Field(default=4.0, ge=0)
    """What shared negatives weigh together under binary_crossentropy and square, a positive weighing 1."""
    exclude: Literal["train", "known"] = "train"
    """Negatives avoid the user's training items, or all items known of the user. `known` lets the test's pairs into
    training: it is for reproducing results that did so, never for an estimate."""
    eval_every: int | None = Field(default=None, ge=1)
    """Steps between two validations; default: `validations` times an epoch."""
    validations: int = Field(default=1, ge=1)
    """Validations in each epoch, where `eval_every` does not say after how many steps."""
    patience: int | None = Field(default=None, ge=1)
    """Validations without a better score after which a stage ends early; none: all epochs are trained."""
    selection: Literal["auto", "expected_val_recall", "clean_val_recall", "val_recall", "trimmed", "paper", "last"] = "auto"
    """Which checkpoint is kept, by one rule for every policy of a run. `auto`: `expected_val_recall`, recall on validation
    with each interaction counted by how likely it is liked, where enough is known of training (`ingest.extra_feedback`) to
    learn that; else `clean_val_recall`, on those known to be liked, where there are at least 200; else `val_recall`."""
    ema_momentum: float = Field(default=0.0, ge=0, lt=1)
    """Momentum of the exponential moving average of the weights, over the validations, that is validated and kept in place
    of the weights themselves; 0 for none. Selection by `last` validates nothing, and averages nothing."""
    fixed_valid_negatives: bool = False
    """Validation losses use the same negatives at every validation instead of fresh ones."""
    start_from: Path | None = None
    """Folder of an earlier run, of this or an earlier log, whose weights each model, policy and seed starts from: of tables,
    the rows of users and items that both know."""
    checkpoint_every: int | None = Field(default=None, ge=1)
    """Steps between two checkpoints, from which `tfadt run --resume` goes on; default: once an epoch."""
    strategy: Literal["none", "mirrored"] = "none"
    """Devices of a training: one, or all GPUs of the machine, which share each batch (`tf.distribute.MirroredStrategy`). The
    result is that of one device but for rounding."""
    steps_per_call: int = Field(default=200, ge=1)
    """Steps that run on the device before control returns to Python."""

    @field_validator("plans")
    @classmethod
    def _stages_in_order(cls, plans: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(map(check_plan, plans))
        except ConfigError as error:
            raise PydanticCustomError("stages", str(error)) from error
