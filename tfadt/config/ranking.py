"""Settings of the stages that rank: `evaluate` and `collide`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, LiteralString

from pydantic import Field, PlainValidator, field_validator
from pydantic_core import PydanticCustomError

from tfadt.config.section import Section
from tfadt.errors import ConfigError

_MANY_USERS = 10_000


def _users(name: LiteralString, *words: LiteralString) -> Callable[[Any], int | str]:
    def checked(value: Any) -> int | str:
        if value in words:
            return value
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise PydanticCustomError(name, f"expected {', '.join(words)} or a whole number of at least 1")
        return value

    return checked


class BlessingConfig(Section):
    """What a model of a pipeline must be better than, at the first cut-off's recall, to be pushed."""

    baseline: Literal["popular", "standard", "none"] = "popular"
    """The most popular items for everybody, the same model trained plainly, or nothing."""
    min_difference: float = 0.0
    """By how much at least."""
    max_p: float | None = Field(default=None, gt=0, le=1)
    """Largest p-value of the paired test over users; default: the difference alone decides."""


class EvaluateConfig(Section):
    """Stage `evaluate`: full ranking over all items."""

    k: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = Field(default=(20, 50), min_length=1)
    """Cut-offs of the ranking metrics; tables and verdicts are about the first one."""
    select_k: int | None = Field(default=None, ge=1, le=1_000_000)
    """Cut-off of the validation recall that selects checkpoints and models; default: the first of `k` where
    `adt.selection` is or stands for `expected_val_recall`, else the largest."""
    valid_users: Annotated[int | Literal["auto", "all"], PlainValidator(_users("valid_users", "auto", "all"))] = "auto"
    """Users whose validation interactions select checkpoints and models: `all`, a number of them drawn by `adt.seed`, or
    `auto`, 10,000 where there are more, and in the midst of a training of NeuMF fewer where ranking them would take more
    than a tenth of it. All epochs, seeds and methods of a model have the same ones."""
    test_users: Annotated[int | Literal["all"], PlainValidator(_users("test_users", "all"))] = "all"
    """Users that the test ranks: all, or a number of them drawn by `adt.seed`, the same ones for every model."""
    mask: Literal["train_valid", "train"] = "train_valid"
    """Seen items that are left out of the test ranking."""
    drop_empty: bool = False
    """Leave out test users with nothing left to rank, rather than count them as missed."""
    blessing: BlessingConfig = BlessingConfig()

    def valid_sample(self, users: int, affordable: int | None = None) -> int:
        """Returns how many of so many users validation ranks.

        Args:
            users: How many have validation interactions.
            affordable: How many can be ranked in the time that there is, which `auto` goes by; None for any number.
        """
        if self.valid_users == "all":
            return users
        if self.valid_users != "auto":
            return min(users, self.valid_users)
        return users if users <= _MANY_USERS else min(_MANY_USERS, affordable or _MANY_USERS)

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
