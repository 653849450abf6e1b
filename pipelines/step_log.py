"""The log of a step: whatever it prints, and why it failed."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from tfadt.pipelines.records import now


class _Lines(io.TextIOBase):
    """Writes to the log, and passes each complete line on."""

    def __init__(self, file: io.TextIOBase, on_line: Callable[[str], None]):
        self._file = file
        self._on_line = on_line
        self._outside = (sys.stdout, sys.stderr)
        self._open = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._file.write(text)
        self._file.flush()  # a killed step has told what it was at
        *lines, self._open = (self._open + text).split("\n")
        # A listener that prints means the terminal, not the log that it hears from.
        with redirect_stdout(self._outside[0]), redirect_stderr(self._outside[1]):
            for line in lines:
                self._on_line(line)
        return len(text)


@contextmanager
def step_log(path: Path, title: str, on_line: Callable[[str], None]) -> Iterator[None]:
    """Sends what the block prints, on either stream, to the end of a log file; a failure leaves its traceback there.

    Args:
        path: The log file.
        title: Opens this attempt, after the time.
        on_line: Hears each line too.
    """
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{now()} {title}\n")
        lines = _Lines(file, on_line)
        try:
            with redirect_stdout(lines), redirect_stderr(lines):
                yield
        except BaseException:
            file.write(traceback.format_exc())
            raise
