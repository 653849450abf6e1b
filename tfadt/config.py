"""Settings of every stage: one pydantic model a stage, with the documentation under each field.

`tfadt.config_loading` reads them from TOML. Importing this module does not import TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from tfadt.config_ingest import IngestConfig
from tfadt.config_pipeline import (
    BlessingConfig,
    KubeflowConfig,
    PipelineConfig,
    PushConfig,
    ValidateDataConfig,
    VerifyConfig,
)
from tfadt.config_section import Section
from tfadt.errors import ConfigError


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


def check_plan(plan: str) -> str:
    """Returns a plan as it is.

    Raises:
        ConfigError: If it does not name stages in their order.
    """
    stages = plan.split("+")
    if stages != [stage for stage in STAGES if stage in stages]:
        raise ConfigError(f"expected some of {'+'.join(STAGES)} in this order, such as warmup+adt")
    return plan


class ADTConfig(Section):
    """Stage `adt`: adaptive denoising training (the paper's section 3.3)."""

    models: tuple[str, ...] = Field(default=("gmf", "neumf", "cdae"), min_length=1)
    """Models to train, by registered name."""
    policies: tuple[str, ...] = Field(default=("standard", "t_ce", "r_ce"), min_length=1)
    """Denoising policies to train each model with, by registered name."""
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
    adam_epsilon: float = Field(default=1e-8, gt=0)
    """Epsilon of Adam: the authors' (PyTorch's) 1e-8. Keras's own default is 1e-7, ten times as much."""
    objective: Literal["binary_crossentropy", "square", "bpr"] = "binary_crossentropy"
    """Loss that the policies act on."""
    num_negatives: int = Field(default=1, ge=1)
    """Sampled negatives for each positive."""
    negatives: Literal["uniform", "popularity"] = "uniform"
    """How negatives are drawn."""
    exclude: Literal["train", "known"] = "train"
    """Negatives avoid the user's training items, or all items known of the user. `known` lets the test's pairs into
    training: it is for reproducing results that did so, never for an estimate."""
    eval_every: int | None = Field(default=None, ge=1)
    """Steps between two validations; default: once an epoch."""
    selection: Literal["val_recall", "trimmed", "paper", "last"] = "val_recall"
    """Which checkpoint is kept, by one rule for every policy of a run."""
    fixed_valid_negatives: bool = False
    """Validation losses use the same negatives at every validation instead of fresh ones."""
    start_from: Path | None = None
    """Folder of an earlier run on the same data whose weights each model, policy and seed starts from."""
    checkpoint_every: int | None = Field(default=None, ge=1)
    """Steps between two checkpoints, from which `tfadt run --resume` goes on; default: once an epoch."""
    steps_per_call: int = Field(default=200, ge=1)
    """Steps that run on the device before control returns to Python."""

    @field_validator("plans")
    @classmethod
    def _stages_in_order(cls, plans: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(map(check_plan, plans))
        except ConfigError as error:
            raise PydanticCustomError("stages", str(error)) from error


class EvaluateConfig(Section):
    """Stage `evaluate`: full ranking over all items."""

    k: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(20, 50), min_length=1)
    """Cut-offs of the ranking metrics; the first one selects checkpoints (`val_recall`)."""
    mask: Literal["train_valid", "train"] = "train_valid"
    """Seen items that are left out of the test ranking."""
    drop_empty: bool = False
    """Leave out test users with nothing left to rank, rather than count them as missed."""
    blessing: BlessingConfig = BlessingConfig()

    @field_validator("k")
    @classmethod
    def _ascending(cls, k: tuple[int, ...]) -> tuple[int, ...]:
        if list(k) != sorted(set(k)):
            raise PydanticCustomError("cut_offs", "expected each cut-off once, ascending")
        return k


class CollideConfig(Section):
    """Stage `collide`: colliding inference after warm-up and ADT (the paper's eq. 8).

    A user with little extra feedback is ranked by its own predictions and those of its most similar users.
    """

    enabled: bool = False
    """Choose lambda and |N| on validation for every training with warm-up, and report what they do on the test."""
    neighbors: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 3, 5, 10, 20, 50, 100), min_length=1)
    """Numbers of neighbours |N| to choose from; each below the number of users."""
    lambdas: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        default=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), min_length=1
    )
    """Weights of a user's own predictions to choose from; 1 is the plain ranking and always among them."""
    ratios: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(0.1, 0.2, 0.3), min_length=1)
    """Thresholds: users whose extra feedback / clicks is below one are mixed with their neighbours."""
    mix: Literal["probabilities", "logits"] = "probabilities"
    """What is mixed."""
    search: Literal["exact", "scann"] = "exact"
    """How neighbours are found; `scann` needs the package scann."""

    @field_validator("neighbors", "lambdas", "ratios")
    @classmethod
    def _ascending(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if list(values) != sorted(set(values)):
            raise PydanticCustomError("grid", "expected each value once, ascending")
        return values

    def check_users(self, num_users: int) -> None:
        """Raises ConfigError if colliding inference is asked for with as many neighbours as there are users."""
        most = max(self.neighbors)
        if self.enabled and most >= num_users:
            raise ConfigError(
                f"Setting 'collide.neighbors': a user is not its own neighbour, and there are {num_users} users. Expected "
                f"numbers below that. Received: {most}."
            )


class TuneConfig(Section):
    """Stage `tune`: a search for the settings that rank validation best, one search for each model and policy of `adt`.

    A trial trains with the first seed and is judged by the checkpoint that `adt.selection` chooses. See docs/tuning.md.
    """

    tuner: Literal["random", "bayesian", "hyperband", "grid"] = "random"
    """How the next trial is chosen. `hyperband` stops the weaker trials early and goes on with the better ones from
    their checkpoints, up to `adt.epochs`; `grid` tries every combination, in an order shuffled by `seed`."""
    trials: int = Field(default=12, ge=1)
    """Most trials of each model and policy: an equal budget for all. Hyperband makes what its brackets need instead."""
    objective: str | None = None
    """Ranking metric on validation that a trial is judged by, such as `ndcg@50`; default: recall at the first cut-off."""
    over: tuple[Literal["policy", "model", "training"], ...] = ("policy", "model", "training")
    """Whose declared settings are searched: the policy's, the model's, those of training (the learning rate)."""
    space: dict[str, Any] = Field(default_factory=dict)
    """Further settings to search, or other values for declared ones, under the setting's own name: `space.adt.batch_size =
    [512, 1024]`, `space.adt.learning_rate = {min = 1e-4, max = 1e-2, log = true}`. An empty list takes a setting out."""
    seed: int = Field(default=0, ge=0)
    """Seed of the search."""
    factor: int = Field(default=3, ge=2)
    """Hyperband: of so many trials one goes on, for so many times the epochs."""
    fresh_processes: bool = False
    """Run each trial in a process of its own: memory is given back, and a trial that the system kills ends only itself."""


class ExportConfig(Section):
    """Stage `export`: from a trained model to a version that TensorFlow Serving loads."""

    k: int = Field(default=100, ge=1)
    """Length of every ranking: the largest k that a client can ask for."""
    signatures: tuple[str, ...] = ()
    """Signatures to export; default: all that the model and the run allow."""
    exclude_seen: bool = True
    """Leave out the items that the test ranking leaves out (`evaluate.mask`)."""


class Config(Section):
    """A whole run: one section a stage, and the settings of each model and policy by name."""

    ingest: IngestConfig = IngestConfig()
    validate_data: ValidateDataConfig = ValidateDataConfig()
    warmup: WarmupConfig = WarmupConfig()
    adt: ADTConfig = ADTConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    collide: CollideConfig = CollideConfig()
    tune: TuneConfig = TuneConfig()
    export: ExportConfig = ExportConfig()
    verify: VerifyConfig = VerifyConfig()
    push: PushConfig = PushConfig()
    pipeline: PipelineConfig = PipelineConfig()
    kubeflow: KubeflowConfig = KubeflowConfig()
    model: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of a model, such as `[model.gmf] embedding_dim = 32`."""
    policy: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of a policy, such as `[policy.t_ce] max_drop_rate = 0.1`."""
