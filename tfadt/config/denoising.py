"""Settings of the strength of denoising, which the policy `noise_model` is chosen by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tfadt.config.section import Section

if TYPE_CHECKING:
    from tfadt.config import Config

NOISE_MODEL = "noise_model"
"""The policy whose strength can be chosen on validation."""

Strengths = tuple[Annotated[float, Field(ge=0)], ...]
"""Numbers of at least 0."""


class DenoisingConfig(Section):
    """How strong denoising is, where a training under `noise_model` sets neither `power` nor `gamma`."""

    strength: Literal["auto", "fixed"] = "auto"
    """`auto`: the fewest disliked items expected on validation at nearly plain training's expected recall; `fixed`: the
    policy's defaults."""
    max_recall_loss: float = Field(default=0.01, ge=0, lt=1)
    """Share of plain training's expected recall that may be lost for it."""
    powers: Strengths = Field(default=(0.5, 1.0, 2.0, 3.0), min_length=1)
    """Powers of the noise model's weights that are tried, beside none."""
    gammas: Strengths = Field(default=(0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0), min_length=1)
    """Strengths of ranking by the noise model that are tried with each power, and with plain training; each costs a ranking
    of validation and no training."""
    policies: tuple[str, ...] = ("t_ce", "r_ce", "popularity")
    """Policies that are tried besides, with their settings; those that a model cannot be trained under are left out."""


def is_automatic(policy: str, config: Config) -> bool:
    """Returns whether the strength of a policy is chosen on validation."""
    own = config.policy.get(policy, {})
    return policy == NOISE_MODEL and config.denoising.strength == "auto" and not own.keys() & {"power", "gamma"}
