"""Signals that ask a training to stop: it stops at the end of a call, with a checkpoint, rather than in its midst."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Which signal asked the training to stop.

    Attributes:
        signum: Its number; None as long as nobody asked.
    """

    def __init__(self) -> None:
        self.signum: int | None = None


@contextmanager
def listening() -> Iterator[Interrupt]:
    """Takes note of SIGINT and SIGTERM; a second one stops at once, as if nobody had listened.

    Signals reach Python's main thread alone: in another one this listens to nothing.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(signum: int, frame: FrameType | None) -> None:
        del frame
        interrupt.signum = signum
        restore()

    for number in signals:
        signal.signal(number, note)
    try:
        yield interrupt
    finally:
        restore()
