"""What a study tells while it goes on: how many trainings are done, and about how long the others take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from tfadt.tuning.progress import SearchProgress


class Countdown:
    """Counts trainings and says after each how much time is about left.

    Args:
        seconds: Of one training of each row, such as `gmf-t_ce`, as expected.
        trials: How many trials the search of a row has.
        trainings: How many trainings of a row follow.
        say: Hears the lines.
    """

    def __init__(
        self,
        seconds: Mapping[str, float],
        trials: Mapping[str, int],
        trainings: Mapping[str, int],
        say: Callable[[str], object],
    ):
        self._seconds = seconds
        self._trials = dict(trials)
        self._trainings = dict(trainings)
        self._say = say
        self._begun = time.monotonic()
        self._done = 0.0

    def expected(self) -> float:
        """Returns about how many seconds are left: as expected, times how much slower or faster it went so far."""
        left = sum(self._seconds[row] * n for each in (self._trials, self._trainings) for row, n in each.items())
        return left * (time.monotonic() - self._begun) / self._done if self._done else left

    def trial_over(self, row: str) -> None:
        """Hears that a trial of a search is over."""
        self._over(self._trials, row)

    def search_over(self, row: str) -> None:
        """Hears that a search is over, all its trials with it, those of an earlier process too."""
        self._trials[row] = 0

    def training_over(self, row: str) -> None:
        """Hears that a training with the settings that won is over."""
        self._over(self._trainings, row)

    def _over(self, counts: dict[str, int], row: str) -> None:
        if not counts.get(row):
            return
        counts[row] -= 1
        self._done += self._seconds[row]
        left = sum(self._trials.values()) + sum(self._trainings.values())
        if left:
            self._say(f"{left} training{'s' if left > 1 else ''} left, about {duration(self.expected())}")


class CountedSearch(SearchProgress):
    """Passes on what a search tells, and counts its trials.

    Args:
        listener: Hears all.
        countdown: Counts.
    """

    def __init__(self, listener: SearchProgress, countdown: Countdown):
        self._listener = listener
        self._countdown = countdown

    def say(self, text: str) -> None:
        """Passes the line on."""
        self._listener.say(text)

    def begin(self, name: str, objective: str) -> None:
        """Passes on which search begins."""
        self._name = name
        self._listener.begin(name, objective)

    def trial_begin(self, trial: str, settings: Mapping[str, Any]) -> None:
        """Passes the trial on."""
        self._listener.trial_begin(trial, settings)

    def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, Any]) -> None:
        """Passes the epoch on."""
        self._listener.trial_epoch(trial, epoch, logs)

    def trial_end(self, trial: str, score: float | None, reason: str | None, seconds: float) -> None:
        """Passes the end on and counts it."""
        self._listener.trial_end(trial, score, reason, seconds)
        self._countdown.trial_over(self._name)

    def end(self, name: str) -> None:
        """Passes the end of the search on."""
        self._listener.end(name)
        self._countdown.search_over(name)


def duration(seconds: float) -> str:
    """Returns a time in words, such as 40 s, 12 min or 1.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
