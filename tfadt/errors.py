"""Errors a user can act on.

Each message is one clear sentence that names the file, row, column or key, what was expected and what was
received. The command line prints it without a traceback and exits with code 2.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class TfadtError(Exception):
    """Base of all errors that are the caller's to mend."""


class DataError(TfadtError):
    """Input data cannot be used as given."""


class ConfigError(TfadtError):
    """A setting is unknown, of the wrong type or inconsistent with another."""


class OutOfMemoryError(TfadtError):
    """What was asked for needs more memory than there is."""


class DivergedError(TfadtError):
    """The training loss is no longer a finite number.

    Attributes:
        step: The step at which it happened, counted from 0.
        batch: The columns of its batch, by name.
    """

    def __init__(self, message: str, step: int, batch: Mapping[str, Any]):
        super().__init__(message)
        self.step = step
        self.batch = batch


class DeviceError(TfadtError):
    """A device or a worker that shares a training was lost."""


class WorkerError(TfadtError):
    """The workers that share the reading of a log did not come to an end."""


class InterruptedRunError(TfadtError):
    """A signal asked the run to stop, and it stopped in good order.

    Attributes:
        exit_code: 128 + the signal's number, as shells have it: 130 for SIGINT, 143 for SIGTERM.
    """

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns `" Did you mean 'x'?"` for the nearest of `known`, else the list of what exists."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if nearest:
        return f" Did you mean '{nearest[0]}'?"
    return f" Known: {', '.join(names)}." if names else ""


# What JSON, Parquet and numpy's readers raise for files that are damaged, and configurations for unknown settings.
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RecursionError,
    MemoryError,
    SyntaxError,
    ConfigError,
)


@contextmanager
def reading(path: object, problem: str = "cannot be read") -> Iterator[None]:
    """Within this, what a damaged file or another's makes its reader raise becomes a DataError that names the file.

    Args:
        path: The file.
        problem: What is then said of it, before the reason.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise DataError(f"{path} {problem}: {first_line(error).removesuffix('.')}.") from error


@contextmanager
def writing(what: object) -> Iterator[None]:
    """Within this, a file system that refuses becomes a DataError that says what cannot be written, and why."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{what} cannot be written: {error.strerror or error}.") from error


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or the name of its kind where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def printable(text: str, keep: str = "") -> str:
    """Returns a text as it can be shown: characters that steer a terminal or break a line are escaped.

    Args:
        text: Any text, such as an id or the name of a file.
        keep: Characters that stay as they are.
    """
    return "".join(ascii(sign)[1:-1] if _steers(sign) and sign not in keep else sign for sign in text)


def _steers(sign: str) -> bool:
    if sign.isascii():
        return not sign.isprintable()
    return unicodedata.category(sign) in ("Cc", "Zl", "Zp", "Cs") or sign in _DIRECTIONS


_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that turn the direction of what follows."""
