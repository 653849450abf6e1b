"""Settings that only pipelines have: `validate_data`, `pipeline` and `kubeflow`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tfadt._version import __version__
from tfadt.config.section import Section

_Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]
"""A text that TOML and --set may give as a number."""


class ValidateDataConfig(Section):
    """Stage `validate_data` of a pipeline: what the ingested data must be like for training to begin."""

    on_anomaly: Literal["fail", "warn"] = "fail"
    """Whether an anomaly stops the pipeline or is only reported."""
    user_ids: Literal["any", "integer", "text"] = "any"
    """Expected type of the user ids."""
    item_ids: Literal["any", "integer", "text"] = "any"
    """Expected type of the item ids."""
    feedback: Literal["any", "rating", "dwell_time", "false_positive", "none"] = "any"
    """Expected feedback rule."""
    feedback_range: tuple[float, float] | None = None
    """Smallest and largest value that a rating or a dwell time may have."""
    min_users: int = Field(default=2, ge=2)
    """Fewest users."""
    min_items: int = Field(default=2, ge=2)
    """Fewest items."""
    min_train: int = Field(default=1, ge=1)
    """Fewest training interactions."""
    max_duplicate_share: float = Field(default=0.5, ge=0, le=1)
    """Largest share of rows that repeat a (user, item) pair."""
    max_unreadable_share: float = Field(default=0.1, ge=0, le=1)
    """Largest share of rows that were rejected for what stands in them."""
    max_false_positive_share: float = Field(default=0.9, ge=0, le=1)
    """Largest share of false positives in training."""
    max_largest_user_share: float = Field(default=0.5, ge=0, le=1)
    """Largest share of the training interactions that one user may have."""
    max_largest_item_share: float = Field(default=0.5, ge=0, le=1)
    """Largest share of the training interactions that one item may have."""
    max_drift: float = Field(default=0.2, ge=0, le=1)
    """Largest Jensen-Shannon divergence, in bits, of the items' popularity and of the users' activity from those of the
    pipeline's last run on other data."""
    min_size_ratio: float = Field(default=0.5, ge=0)
    """Fewest training interactions, as a share of the last run's."""


class PipelineConfig(Section):
    """Which steps a pipeline has."""

    search: bool = False
    """Search for hyperparameters (section `tune`) and train with the best."""


class KubeflowConfig(Section):
    """A pipeline compiled for Kubeflow: in what each step runs."""

    image: str = f"tfadt:{__version__}"
    """Image with this version of tfadt, as the Dockerfile builds it."""
    cpu: _Text | None = Field(default=None, pattern=r"^(\d*\.)?\d+m?$")
    """Limit of processors a step, such as `4` or `500m`."""
    memory: _Text | None = Field(default=None, pattern=r"^\d+([EPTGMK]i?)?$")
    """Limit of memory a step, such as `16G`."""
    accelerators: int = Field(default=0, ge=0)
    """Number of accelerators for the steps that train or rank."""
    accelerator_type: str = "nvidia.com/gpu"
    """What to ask the cluster for."""
