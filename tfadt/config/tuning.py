"""Settings of the stage `tune`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tfadt.config.section import Section


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
    """Ranking metric on validation that a trial is judged by, such as `ndcg@50`; default: the recall that selects."""
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
