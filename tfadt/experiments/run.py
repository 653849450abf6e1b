"""The record of one training, or of the floor that nobody trained, and how well it ranks.

Importing this does not import TensorFlow: it is what results that were written are read with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, InstanceOf, PlainSerializer, TypeAdapter, ValidationError

from tfadt.config.training import ADT_ALONE, training_name
from tfadt.errors import DataError
from tfadt.registry import PLAIN

if TYPE_CHECKING:
    from tfadt.evaluation.ranking import Evaluation
    from tfadt.training.plan import Plan
    from tfadt.training.stages import Trained

POPULAR = "popular"
"""The model that every table has: the floor of every comparison."""

SCHEMA = 3
"""Version of what the folder of a run holds. A folder of another version is refused."""


def is_floor(model: str, policy: str | None, stages: Sequence[str]) -> bool:
    """Returns whether a training is the floor: the most popular items, of all training clicks."""
    return model == POPULAR and policy in (None, PLAIN) and "adt" in stages


def check_schema(content: Any, where: object) -> None:
    """Raises DataError if `content`, read from `where`, was not written by this version of the folder's schema."""
    found = content.get("schema", "none") if isinstance(content, dict) else "none"
    if found != SCHEMA:
        raise DataError(
            f"{where} is not the result of a run that this version of tfadt reads. Expected schema {SCHEMA}. "
            f"Received: schema {found}. "
            "Train again with this version."
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training, and how well it ranks the clean test; or a trial of a search, and how well it ranks validation.

    Only this class reads and writes itself: results.json, the artifacts of a pipeline and what a search found are its views.

    The floor is the model `popular`, trained plainly. Where it is not among the trainings it is counted for the tables
    alone: it has no policy and no seed, and leaves no model.

    Attributes:
        model: Registered name.
        policy: Registered name; None for a floor that was not asked for.
        plan: The stages of the training, joined by +.
        seed: None for that floor.
        selection: The rule that chose the checkpoint; None for that floor.
        metrics: Means over the test users, such as `recall@20`; empty before the test was ranked. Of a trial: means over the
            validation users, such as `val_recall@20`, and what else its selected epoch logged.
        realised_drop_rate: Share of the rows that ADT dropped in the epoch whose weights were selected.
        adt_step: The step of ADT whose weights were selected; None without that stage.
        best_step: The selected step of the last stage.
        epoch: The epoch of the last stage that this step lies in, from 1; None for that floor.
        selection_score: Its score under the rule, larger is better; None under `last`.
        valid_recall: Recall on validation as the rule measures it (`val_recall` where that measures none), by which models
            are compared; None where there is no validation.
        valid_interval: Its 95 % interval over users.
        valid_users: How many users it is the mean of: all who have such interactions, or a sample.
        has_model: Whether the folder holds its model; a pipeline's step keeps the one model, not those it is compared with.
        without_negative: Training interactions of users who have every item: they are trained on without a negative.
        strength: How the strength of denoising was chosen, and the frontier; None where it was set.
        devices: Devices that shared each batch of the training (`adt.strategy`).
        seconds: Wall time of training, validation included, and of the test; written to the millisecond.
        per_user: Metrics of each user, which a file of their own keeps; None where it was not read.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    model: str
    policy: str | None = None
    plan: str = ADT_ALONE
    seed: int | None = None
    selection: str | None = None
    metrics: dict[str, float]
    realised_drop_rate: float = 0.0
    adt_step: int | None = None
    best_step: int | None = None
    epoch: int | None = None
    selection_score: float | None = None
    valid_recall: float | None = None
    valid_interval: tuple[float, float] | None = None
    valid_users: int | None = None
    has_model: bool = True
    without_negative: int = 0
    strength: dict[str, Any] | None = None
    devices: int = 1
    seconds: Annotated[float, PlainSerializer(lambda seconds: round(seconds, 3))]
    per_user: Annotated[InstanceOf[pd.DataFrame] | None, Field(exclude=True)] = field(
        default=None, repr=False, compare=False
    )

    @property
    def name(self) -> str:
        """File name of what the run leaves."""
        if self.policy is None or self.seed is None:
            return POPULAR
        return training_name(self.model, self.policy, self.plan, self.seed)

    @property
    def is_floor(self) -> bool:
        """Whether it ranks by the training clicks of an item, all of the same weight."""
        return is_floor(self.model, self.policy, self.stages)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of the training."""
        return tuple(self.plan.split("+"))

    @property
    def evaluation(self) -> Evaluation:
        """Metrics, and metrics of each user."""
        from tfadt.evaluation.ranking import Evaluation

        if self.per_user is None:
            raise ValueError(f"The metrics of each user of {self.name} were not read.")
        return Evaluation(self.metrics, self.per_user)

    @classmethod
    def of(cls, plan: Plan, trained: Trained) -> Run:
        """Returns the record of a training whose validation and test have not been ranked yet."""
        return cls(
            model=plan.model,
            policy=plan.policy,
            plan=plan.label,
            seed=plan.seed,
            selection=trained.selection,
            metrics={},
            realised_drop_rate=trained.drop_rate,
            adt_step=trained.adt_step,
            best_step=trained.best_step,
            epoch=-(-trained.best_step // trained.steps_per_epoch),
            selection_score=trained.selection_score,
            without_negative=trained.without_negative,
            strength=trained.strength,
            devices=trained.devices,
            seconds=trained.seconds,
        )

    def validated(self, recalls: np.ndarray) -> Run:
        """Returns the record with the recall on validation, float `[U]` of the users that it was measured on."""
        from tfadt.evaluation.significance import mean_interval

        interval = mean_interval(recalls)
        return replace(self, valid_recall=float(recalls.mean()), valid_interval=interval, valid_users=len(recalls))

    def measured(self, evaluation: Evaluation, seconds: float) -> Run:
        """Returns the record with the metrics of the test, whose ranking took so many seconds."""
        return replace(self, metrics=evaluation.metrics, per_user=evaluation.per_user, seconds=self.seconds + seconds)

    def as_dict(self) -> dict[str, Any]:
        """Returns everything but the metrics of each user, JSON-ready."""
        record: dict[str, Any] = _RECORD.dump_python(self, mode="json")
        return record

    @classmethod
    def from_dict(cls, record: Any, where: object, per_user: pd.DataFrame | None = None) -> Run:
        """Returns the run that `as_dict` described.

        Args:
            record: What was read.
            where: From where, for errors.
            per_user: The metrics of each user.

        Raises:
            DataError: If it is not the record of a run.
        """
        try:
            return replace(_RECORD.validate_python(record), per_user=per_user)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "the record"
            message = f"{where} is not the record of a run: {key}: {first['msg']}. Received: {first['input']!r:.200}."
            raise DataError(message) from error


_RECORD = TypeAdapter(Run)
