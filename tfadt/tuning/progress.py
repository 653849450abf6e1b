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

    def beside(self) -> SearchProgress:
        """Returns who listens to a search that goes on beside others."""
        return self


class PrintedSearch(SearchProgress):
    """Prints a line for each trial, and for what happens beside."""

    def say(self, text: str) -> None:
        """Prints the line."""
        print(text, flush=True)

    def begin(self, name: str, objective: str) -> None:
        """Prints what begins."""
        self._name, self._objective = name, objective
        self._settings: dict[str, Mapping[str, Any]] = {}
        self.say(f"{name}: searching for the largest {objective}")

    def beside(self) -> PrintedSearch:
        """Returns another: each prints the trials of one search."""
        return PrintedSearch()

    def trial_begin(self, trial: str, settings: Mapping[str, Any]) -> None:
        """Remembers the settings for the trial's line."""
        self._settings[trial] = settings

    def trial_end(self, trial: str, score: float | None, reason: str | None, seconds: float) -> None:
        """Prints how the trial ended."""
        settings = ", ".join(f"{short(key)} {shown(value)}" for key, value in self._settings[trial].items())
        outcome = f"failed: {reason}" if score is None else f"{self._objective} {score:.4f}"
        self.say(f"{self._name} trial {trial} ({settings or 'nothing to vary'}): {outcome}, {seconds:.1f} s")


def short(setting: str) -> str:
    """Returns the last part of a setting's name, such as `max_drop_rate`."""
    return setting.rpartition(".")[2]


def shown(value: Any) -> str:
    """Returns a value as a table shows it: numbers to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
