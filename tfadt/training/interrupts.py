"""Signals that ask a training to stop: it stops at the end of a call, with a checkpoint, rather than in its midst."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Struck(BaseException):
    """Raised where a signal comes in the midst of `Interrupt.at_once`."""


class Interrupt:
    """Which signal asked the training to stop.

    Attributes:
        signum: Its number; None as long as nobody asked.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._at_once = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within this a signal raises `Struck`: a validation of many minutes is left between two blocks of users."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def note(self, signum: int) -> None:
        """Takes note of a signal.

        Raises:
            Struck: Within `at_once`.
        """
        self.signum = signum
        if self._at_once:
            raise Struck


@contextmanager
def listening() -> Iterator[Interrupt]:
    """Takes note of SIGINT and SIGTERM; a second one stops at once, as if nobody had listened.

    A signal that was ignored before, as the shell has it for SIGINT of what it starts in the background, stays ignored.
    Signals reach Python's main thread alone: in another one this listens to nothing.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in found.items() if handler is not signal.SIG_IGN}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(signum: int, frame: FrameType | None) -> None:
        del frame
        restore()
        interrupt.note(signum)

    for number in before:
        signal.signal(number, note)
    try:
        yield interrupt
    finally:
        restore()
