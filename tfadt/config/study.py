"""Settings of a study beside those of its searches and trainings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfadt.config.section import Section


class StudyConfig(Section):
    """What `tfadt study` does besides."""

    injected_share: float = Field(default=0.2, ge=0, lt=1)
    """Share of the liked clicks that go to an item never clicked in a copy of the log, on which the policies are then tried;
    0 for no such trial."""
    controls: Literal["all", "best"] = "all"
    """Which models that are trained by steps have the controls `random_drop` and `clean_only`: all, or the one whose plain
    training ranked validation best."""
