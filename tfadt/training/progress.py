"""What a run tells while it goes on; the command line draws bars from it, others stay silent."""

from __future__ import annotations

import time
from typing import Any

import keras

_MINUTE = 60.0


class Progress:
    """Listens to a run and says nothing. A listener overrides what it wants to hear."""

    def say(self, text: str) -> None:
        """Hears a line about what happens next."""

    def begin(self, label: str, total_steps: int) -> None:
        """Hears that a training of `total_steps` steps begins."""

    def advance(self, step: int, logs: dict[str, Any]) -> None:
        """Hears that `step` steps are done, with the logs so far."""

    def ranked(self, users: int, total: int) -> None:
        """Hears that so many of the users are ranked, in a validation or on the test."""

    def end(self, label: str, summary: str) -> None:
        """Hears that the training is over."""

    def beside(self) -> Progress:
        """Returns who listens to a training that goes on beside others; its end is told to this one."""
        return self


class Renamed(Progress):
    """Passes on what happens to a training, under another name.

    Args:
        progress: Listens.
        name: What stands in its labels where they have the training's name, before its stage.
    """

    def __init__(self, progress: Progress, name: str):
        self._progress = progress
        self._name = name

    def say(self, text: str) -> None:
        """Passes the line on."""
        self._progress.say(text)

    def begin(self, label: str, total_steps: int) -> None:
        """Passes on that a training begins."""
        self._progress.begin(self._renamed(label), total_steps)

    def advance(self, step: int, logs: dict[str, Any]) -> None:
        """Passes on how many steps are done."""
        self._progress.advance(step, logs)

    def ranked(self, users: int, total: int) -> None:
        """Passes on how many users are ranked."""
        self._progress.ranked(users, total)

    def end(self, label: str, summary: str) -> None:
        """Passes on how it ended."""
        self._progress.end(self._renamed(label), summary)

    def _renamed(self, label: str) -> str:
        _, space, stage = label.partition(" ")
        return self._name + space + stage


class PrintedProgress(Progress):
    """Prints a line for each thing that happens, and of a long ranking one a minute."""

    def __init__(self) -> None:
        self._printed = time.monotonic()

    def say(self, text: str) -> None:
        """Prints the line."""
        print(text, flush=True)
        self._printed = time.monotonic()

    def begin(self, label: str, total_steps: int) -> None:
        """Prints how long the training is."""
        self.say(f"{label}: training, {total_steps:,} steps")

    def ranked(self, users: int, total: int) -> None:
        """Prints how far the ranking is, if nothing was printed for a minute."""
        if time.monotonic() - self._printed >= _MINUTE:
            self.say(f"  {users:,} of {total:,} users ranked")

    def end(self, label: str, summary: str) -> None:
        """Prints how it ended."""
        self.say(f"{label}: {summary}")


class ProgressCallback(keras.callbacks.Callback):
    """Passes the steps of `fit` on to a listener."""

    def __init__(self, progress: Progress):
        super().__init__()
        self._progress = progress

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Tells how many steps are done."""
        del batch
        self._progress.advance(int(self.model.iteration), logs or {})
