"""What the command prints: progress bars on a terminal, plain lines elsewhere, tables, errors."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tfadt.training.progress import Progress

_PLAIN_WIDTH = 160


def print_error(message: str) -> None:
    """Prints one sentence to the standard error."""
    print(f"Error: {message}", file=sys.stderr)


def print_lines(lines: Sequence[str]) -> None:
    """Prints lines as they stand; a terminal folds them at its width."""
    console = _console()
    for line in lines:
        console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=not console.is_terminal)


def print_table(header: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Prints a table: drawn on a terminal, aligned columns elsewhere."""
    console = _console()
    table = Table(*header) if console.is_terminal else Table(*header, box=None, pad_edge=False)
    for line in cells:
        table.add_row(*map(Text, line))  # Text: an id such as [b] or :apple: is no markup
    # A table wider than the terminal is folded by the terminal, line by line, rather than cut.
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
    with Bars(*columns, TextColumn("{task.fields[loss]}"), console=console, transient=True) as bars:

        class Drawn(Progress):
            def say(self, text: str) -> None:
                console.print(text, markup=False, highlight=False, emoji=False)

            def begin(self, label: str, total_steps: int) -> None:
                self._task = bars.add_task(label, total=total_steps, loss="")

            def advance(self, step: int, logs: dict[str, Any]) -> None:
                loss = f"loss {float(logs['loss']):.4f}" if "loss" in logs else ""
                bars.update(self._task, completed=step, loss=loss)

            def end(self, label: str, summary: str) -> None:
                bars.remove_task(self._task)
                console.print(f"{label}: {summary}", markup=False, highlight=False, emoji=False)

        yield Drawn()


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)
