"""What the command prints: progress bars on a terminal, plain lines elsewhere, tables, errors."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from tfadt.errors import printable

if TYPE_CHECKING:
    from tfadt.training.progress import Progress

_PLAIN_WIDTH = 160
_LINES = "\n\t"


def print_error(message: str) -> None:
    """Prints one sentence to the standard error."""
    print(f"Error: {printable(message, _LINES)}", file=sys.stderr)


def print_lines(lines: Sequence[str]) -> None:
    """Prints lines as they stand; a terminal folds them at its width."""
    console = _console()
    for line in lines:
        text = printable(line, _LINES)
        console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=not console.is_terminal)


def print_wrapped(line: str, text: str) -> None:
    """Prints a line, and under it an indented text folded at the width of the terminal, 80 columns elsewhere."""
    console = Console()
    console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
    for part in textwrap.wrap(text, min(console.width, 100) - 4):
        console.print(f"    {part}", markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_table(header: Sequence[str], cells: Sequence[Sequence[str]], keys: int = 1) -> None:
    """Prints a table: drawn on a terminal, aligned columns elsewhere.

    Args:
        header: Names of the columns.
        cells: The rows.
        keys: How many of the first columns say what a row is. A table that is wider than the terminal is printed as several,
            one below the other, each with these columns.
    """
    console = _console()
    if console.is_terminal:
        widths = [max(map(cell_len, column)) + 3 for column in zip(header, *cells, strict=True)]
        for columns in _pieces(widths, keys, console.width - 1):
            _print_table([header[n] for n in columns], [[line[n] for n in columns] for line in cells], console)
    else:
        _print_table(header, cells, console)


def _pieces(widths: Sequence[int], keys: int, room: int) -> list[list[int]]:
    """Returns the columns of each piece of a table: the first `keys`, and as many others as there is room for."""
    first = list(range(keys))
    pieces = [first]
    for column in range(keys, len(widths)):
        if len(pieces[-1]) > keys and sum(widths[n] for n in [*pieces[-1], column]) > room:
            pieces.append(first)
        pieces[-1] = [*pieces[-1], column]
    return pieces


def _print_table(header: Sequence[str], cells: Sequence[Sequence[str]], console: Console) -> None:
    table = Table(*header) if console.is_terminal else Table(*header, box=None, pad_edge=False)
    for line in cells:
        table.add_row(*(Text(printable(cell)) for cell in line))  # Text: an id such as [b] or :apple: is no markup
    # One wider than the terminal is folded by the terminal, line by line, rather than cut.
    width = max(Measurement.get(console, console.options.update(max_width=10_000), table).maximum, console.width)
    if console.is_terminal:
        Console(width=width).print(table, soft_wrap=True)
        return
    wide = Console(width=width)
    with wide.capture() as text:
        wide.print(table, soft_wrap=True)
    print("\n".join(line.rstrip() for line in text.get().splitlines()))


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """Gives a listener for a run: bars on a terminal, a line for each training elsewhere, nothing when quiet."""
    from tfadt.training.progress import PrintedProgress, Progress  # imports TensorFlow

    console = _console()
    if quiet:
        yield Progress()
        return
    if not console.is_terminal:
        yield PrintedProgress()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, TextColumn("{task.fields[now]}"), console=console, transient=True) as bars:

        class Drawn(Progress):
            """Draws a bar for the training that goes on; of several, each has one of these."""

            def __init__(self, bar_of: dict[TaskID, str]):
                self._bar_of = bar_of
                self._own: TaskID | None = None

            def beside(self) -> Progress:
                return Drawn(self._bar_of)

            def say(self, text: str) -> None:
                console.print(printable(text, _LINES), markup=False, highlight=False, emoji=False)

            def begin(self, label: str, total_steps: int) -> None:
                if self._own in self._bar_of:  # of the stage before
                    self._remove(self._own)
                self._own = bars.add_task(label, total=total_steps, now="")
                self._bar_of[self._own] = label

            def advance(self, step: int, logs: dict[str, Any]) -> None:
                now = f"loss {float(logs['loss']):.4f}" if "loss" in logs else ""
                self._update(completed=step, now=now)

            def ranked(self, users: int, total: int) -> None:
                self._update(now=f"{users:,} of {total:,} users ranked")

            def end(self, label: str, summary: str) -> None:
                self._clear(label)  # there is none where a training was finished before the run was resumed
                console.print(f"{label}: {summary}", markup=False, highlight=False, emoji=False)

            def _update(self, **fields: Any) -> None:
                if self._own in self._bar_of:
                    bars.update(self._own, **fields)

            def _clear(self, training: str) -> None:
                """Takes away the bars of a training: its label is its name, with more behind it where it has stages."""
                for task, label in list(self._bar_of.items()):
                    if label.partition(" ")[0] == training:
                        self._remove(task)

            def _remove(self, task: TaskID) -> None:
                bars.remove_task(task)
                del self._bar_of[task]

        yield Drawn({})


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)
