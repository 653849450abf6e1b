"""The live table of `tfadt tune` on a terminal, and plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tfadt.tuning.progress import PrintedSearch, SearchProgress, short, shown

_AROUND = 6  # lines of the terminal that a table needs besides its rows


@contextmanager
def search_progress(quiet: bool) -> Iterator[SearchProgress]:
    """Gives a listener for a search: a live table on a terminal, a line for each trial elsewhere, nothing when quiet."""
    console = Console()
    if quiet:
        yield SearchProgress()
    elif not console.is_terminal:
        yield PrintedSearch()
    else:
        with Live(console=console, refresh_per_second=4) as live:
            yield _LiveTable(live, {})


@dataclass
class _Row:
    """A trial as the table shows it."""

    settings: Mapping[str, Any]
    state: str = ""
    score: float | None = None
    time: str = ""


class _LiveTable(SearchProgress):
    """Draws the trials of a search: the best in bold, the last ones where they are more than fit.

    Args:
        live: Where.
        drawn: The tables of the searches that go on at present, by name.
    """

    def __init__(self, live: Live, drawn: dict[str, _LiveTable]):
        self._live = live
        self._drawn = drawn
        self._rows: dict[str, _Row] = {}

    def beside(self) -> SearchProgress:
        return _LiveTable(self._live, self._drawn)

    def say(self, text: str) -> None:
        self._live.console.print(text, markup=False, highlight=False, emoji=False)

    def begin(self, name: str, objective: str) -> None:
        self._name, self._objective = name, objective
        self._rows = {}
        self._drawn[name] = self

    def trial_begin(self, trial: str, settings: Mapping[str, Any]) -> None:
        self._rows[trial] = _Row(settings, "begun")
        self._draw()

    def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, Any]) -> None:
        row = self._rows[trial]
        row.state = f"epoch {epoch + 1}"
        row.score = logs.get(self._objective)
        self._draw()

    def trial_end(self, trial: str, score: float | None, reason: str | None, seconds: float) -> None:
        row = self._rows[trial]
        row.state = "done" if score is not None else f"failed: {reason}"
        row.score, row.time = score, f"{seconds:.1f}"
        self._draw()

    def end(self, name: str) -> None:
        # What has been drawn stays above; the next search draws a table of its own below.
        self._live.console.print(self._table(None))
        self._rows = {}
        del self._drawn[name]
        self._draw()

    def _draw(self) -> None:
        lines = self._live.console.height // max(1, len(self._drawn))
        self._live.update(Group(*(each._table(max(1, lines - _AROUND)) for each in self._drawn.values())), refresh=True)

    def _table(self, most: int | None) -> Table:
        keys = list(dict.fromkeys(key for row in self._rows.values() for key in row.settings))
        table = Table("trial", *map(short, keys), self._objective, "s", "", title=self._name, title_justify="left")
        done = {trial: row.score for trial, row in self._rows.items() if row.score is not None and row.time}
        best = max(done, key=lambda trial: done[trial] or 0.0, default=None)
        for trial, row in list(self._rows.items())[-most if most else 0 :]:
            values = [shown(row.settings[key]) if key in row.settings else "" for key in keys]
            score = "" if row.score is None else f"{row.score:.4f}"
            cells = [trial, *values, score, row.time, row.state]
            table.add_row(*map(Text, cells), style="bold" if trial == best else "")
        return table
