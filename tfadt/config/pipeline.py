"""Settings that only pipelines have: `validate_data`, `pipeline` and `kubeflow`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

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
    daily: bool = False
    """Go on from the last run that this pipeline has pushed: training starts from its weights, and the data are put beside
    it (section `drift`). `adt.start_from` does the same with another run."""


class DriftLimits(Section):
    """The most that new data may differ from an earlier run; what has no limit may differ by any amount."""

    new_users: float | None = Field(default=None, ge=0)
    """Share of users that the model does not know."""
    new_items: float | None = Field(default=None, ge=0)
    """Share of items that the model does not know."""
    clicks_of_new: float | None = Field(default=None, ge=0)
    """Share of clicks of users or on items that the model does not know."""
    popularity: float | None = Field(default=None, ge=0)
    """Jensen-Shannon divergence of the items' popularity, in bits."""
    false_positives: float | None = Field(default=None, ge=0)
    """Absolute change of the share of disliked clicks."""
    recall_loss: float | None = Field(default=None, ge=0)
    """Relative loss of recall against the run's own test."""

    def given(self) -> dict[str, float]:
        """Returns the limits that there are."""
        return self.model_dump(exclude_none=True)


class DriftConfig(Section):
    """Stage `drift` of a pipeline that goes on from an earlier run: what the new data's drift says about the push."""

    limits: DriftLimits = DriftLimits()
    push: Literal["within", "beyond"] = "within"
    """`within`: what exceeds a limit is not pushed, since somebody should look at the log first. `beyond`: only what exceeds
    one is pushed, since within them the model that is served will do."""

    @model_validator(mode="after")
    def _has_limit(self) -> DriftConfig:
        if self.push == "beyond" and not self.limits.given():
            raise PydanticCustomError("limits", "drift.push = 'beyond' needs a limit, such as drift.limits.new_items = 0.2")
        return self


class Resources(Section):
    """What a container of Kubeflow gets. What is not set for a step is that of all steps."""

    cpu: _Text | None = Field(default=None, pattern=r"^(\d*\.)?\d+m?$")
    """Limit of processors a step, such as `4` or `500m`."""
    memory: _Text | None = Field(default=None, pattern=r"^\d+([EPTGMK]i?)?$")
    """Limit of memory a step, such as `16G`."""
    accelerators: int | None = Field(default=None, ge=0)
    """Number of accelerators; what is set for all steps holds for those that train or rank."""
    accelerator_type: str | None = None
    """What to ask the cluster for; default: `nvidia.com/gpu`."""


class KubeflowConfig(Resources):
    """A pipeline compiled for Kubeflow: in what each step runs."""

    image: str = f"tfadt:{__version__}"
    """Image with this version of tfadt, as the Dockerfile builds it."""
    resources: dict[str, Resources] = Field(default_factory=dict)
    """Resources of single steps, such as `kubeflow.resources.adt.cpu = 4`."""
    environment: dict[str, _Text] = Field(default_factory=dict)
    """Variables of every step's environment, such as `TF_NUM_INTRAOP_THREADS = 4`."""
    secrets: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Secrets of the cluster as variables of every step's environment: name of the secret -> its key -> variable."""
    volumes: dict[str, str] = Field(default_factory=dict)
    """Persistent volume claims and where every step finds them, such as `clicks = "/data"`."""
    retries: int | None = Field(default=None, ge=0)
    """How often a step that failed is tried again; default: twice, `validate_data` not at all."""
    trials_in_parallel: int = Field(default=1, ge=1)
    """How many trials the step `tune` makes at once. Above 1, so many tasks make them beside one that hands them out; they
    meet in a folder on the first of `volumes`, to which all of them write."""

    @field_validator("volumes")
    @classmethod
    def _absolute(cls, volumes: dict[str, str]) -> dict[str, str]:
        for claim, place in volumes.items():
            if not place.startswith("/"):
                raise PydanticCustomError("place", f"volume '{claim}' is mounted at an absolute path. Received: '{place}'")
        return volumes

    @model_validator(mode="after")
    def _has_meeting_place(self) -> KubeflowConfig:
        if self.trials_in_parallel > 1 and not self.volumes:
            raise PydanticCustomError(
                "volumes",
                "kubeflow.trials_in_parallel above 1 needs a volume that several containers can write to at once, such as "
                "kubeflow.volumes.searches = '/searches'. Received: {trials} without kubeflow.volumes",
                {"trials": self.trials_in_parallel},
            )
        return self

    def of_step(self, name: str, accelerated: bool) -> Resources:
        """Returns the resources of a step: its own, and what is set for all.

        Args:
            name: The step.
            accelerated: Whether it trains or ranks.
        """
        own = self.resources.get(name, Resources())
        common = {key: getattr(self, key) for key in Resources.model_fields}
        common["accelerators"] = common["accelerators"] if accelerated else 0
        return Resources(**{**common, **own.model_dump(exclude_none=True)})
