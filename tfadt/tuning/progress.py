"""What a search tells while it goes on; the command line draws a table from it, others stay silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SearchProgress:
    """Listens to a search and says nothing. A listener overrides what it wants to hear."""

    def say(self, text: str) -> None:
        """Hears a line about what happens next."""

    def begin(self, name: str, objective: str) -> None:
        """Hears that the search of a model and policy begins, and what its trials are judged by."""

    def trial_begin(self, trial: str, settings: Mapping[str, Any]) -> None:
        """Hears that a trial with these settings begins."""

    def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, Any]) -> None:
        """Hears that the trial made an epoch (from 0), with its logs."""

    def trial_end(self, trial: str, score: float | None, reason: str | None, seconds: float) -> None:
        """Hears that a trial is over: its score, or None and why it failed."""

    def end(self, name: str) -> None:
        """Hears that the search of a model and policy is over."""
