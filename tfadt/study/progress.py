"""What a study tells while it goes on: how many trainings are done, and about how long the others take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tfadt.tuning.progress import SearchProgress


class Countdown:
    """Counts trainings and says after each how much time is about left.

    Args:
        seconds: Of one training of each row, such as `gmf-t_ce`, as expected, at least and at most.
        trials: How many trials the search of a row has.
        trainings: How many trainings of a row follow.
        processes: How many go on at once.
        say: Hears the lines.
    """

    def __init__(
        self,
        seconds: Mapping[str, tuple[float, float]],
        trials: Mapping[str, int],
        trainings: Mapping[str, int],
        processes: int,
        say: Callable[[str], object],
    ):
        self._seconds = seconds
        self._trials = dict(trials)
        self._trainings = dict(trainings)
        self._processes = processes
        self._say = say
        self._expected: dict[str, float] = defaultdict(float)
        self._took: dict[str, float] = defaultdict(float)

    def span(self) -> str:
        """Returns in words how long all of it takes as expected, at least and at most."""
        least, most = (duration(sum(self._left(each)) / self._processes) for each in (0, 1))
        return least if least == most else f"{least} to {most}"

    def expected(self) -> float:
        """Returns about how many seconds are left: as expected, times how much slower each model went so far."""
        return sum(self._left(0)) / self._processes

    def trial_over(self, row: str, seconds: float) -> None:
        """Hears that a trial of a search is over, and how long it took."""
        self._over(self._trials, row, seconds)

    def search_over(self, row: str) -> None:
        """Hears that a search is over, all its trials with it, those of an earlier process too."""
        self._trials[row] = 0

    def follow(self, trainings: Mapping[str, int]) -> None:
        """Hears how many trainings of each row follow, now that the searches are over."""
        self._trainings = dict(trainings)

    def training_over(self, row: str, seconds: float) -> None:
        """Hears that a training with the settings that won is over, and how long it took."""
        self._over(self._trainings, row, seconds)

    def _left(self, bound: int) -> Iterator[float]:
        """Gives the seconds of all that is left in each row; `bound` 0 counts from the least that was expected."""
        for counts in (self._trials, self._trainings):
            for row, count in counts.items():
                yield self._seconds[row][bound] * count * self._pace(row)

    def _pace(self, row: str) -> float:
        """Returns how much slower than expected the trainings of the row's model were; 1 before the first.

        Others do not tell: a model that only counts takes many times what it was expected to, and that is no matter.
        """
        model = _model(row)
        return self._took[model] / self._expected[model] if self._expected[model] else 1.0

    def _over(self, counts: dict[str, int], row: str, seconds: float) -> None:
        if not counts.get(row):
            return
        counts[row] -= 1
        self._expected[_model(row)] += self._seconds[row][0]
        self._took[_model(row)] += seconds
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
        self._countdown.trial_over(self._name, seconds)

    def end(self, name: str) -> None:
        """Passes the end of the search on."""
        self._listener.end(name)
        self._countdown.search_over(name)

    def beside(self) -> CountedSearch:
        """Returns one for a search that goes on beside others."""
        return CountedSearch(self._listener.beside(), self._countdown)


def _model(row: str) -> str:
    return row.rpartition("-")[0]


def duration(seconds: float) -> str:
    """Returns a time in words, such as 40 s, 12 min or 1.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def takes_too_long(seconds: float, hours: float) -> str:
    """Returns why what is expected to take so long is left out of a study that is to end within so many hours."""
    return f"about {duration(seconds)} are expected of it, and all is to end within {hours:g} h"
