"""Settings of the stages that bring a model to a server: `export`, `verify` and `push`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tfadt.config.section import Section
from tfadt.registry import check_name

SIGNATURES = (
    "recommend",
    "recommend_colliding",
    "recommend_excluding",
    "recommend_from_history",
    "recommend_integer",
    "classify",
    "score",
    "denoise",
)
"""What a served model can be asked; `tfadt.serving.contract` has the tensors."""


LABELS = ("stable", "canary")
"""What a version can be labelled: what clients ask for, and what a share of them tries."""


class ExportConfig(Section):
    """Stage `export`: from a trained model to a version that TensorFlow Serving loads."""

    name: str | None = None
    """Name of the served model; default: `gmf`, `neumf`, ... Pipelines that push to one directory have a name each."""
    k: int = Field(default=100, ge=1)
    """Length of every ranking: the largest k that a client can ask for."""
    signatures: tuple[str, ...] = ()
    """Signatures to export; default: all that the model and the run allow, but `classify`, which is `recommend` again."""
    exclude_seen: bool = True
    """Leave out the items that the test ranking leaves out (`evaluate.mask`)."""

    @field_validator("signatures")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            check_name("signature", SIGNATURES, name)
        return names


class VerifyConfig(Section):
    """Stage `verify`: the proof of a version before it is pushed."""

    loader: Literal["auto", "require", "skip"] = "auto"
    """Whether to run every signature under the C++ loader; `auto`: where there is a compiler."""
    seconds: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Time of each latency measurement there."""


class PushConfig(Section):
    """Stage `push`: a blessed version goes to where a server finds it."""

    to: str = Field(default="saved_models", min_length=1)
    """Directory of the served models, on this machine or any path of `tf.io.gfile`."""
    label: Literal["stable", "canary"] = "stable"
    """What clients ask for the version by: `canary` is tried by a share of them beside the version that is stable."""
    keep: int | None = Field(default=None, ge=1)
    """How many versions to keep there, the newest ones and those with a label; default: all."""
    unless_worse_than: str | None = Field(default=None, pattern=r"^(served|\d+)$")
    """`served` (the stable one) or a version there: push only what ranks the clean test no worse."""
    metric: str | None = Field(default=None, pattern=r"^(recall|ndcg|precision|mrr|hit)@[1-9]\d*$")
    """What is compared, such as `ndcg@50`; default: recall at the first cut-off."""
    tolerance: float = Field(default=0.0, ge=0)
    """How much worse it may be."""
