"""What a run tells while it goes on; the command line draws bars from it, others stay silent."""

from __future__ import annotations

from typing import Any

import keras


class Progress:
    """Listens to a run and says nothing. A listener overrides what it wants to hear."""

    def say(self, text: str) -> None:
        """Hears a line about what happens next."""

    def begin(self, label: str, total_steps: int) -> None:
        """Hears that a training of `total_steps` steps begins."""

    def advance(self, step: int, logs: dict[str, Any]) -> None:
        """Hears that `step` steps are done, with the logs so far."""

    def end(self, label: str, summary: str) -> None:
        """Hears that the training is over."""


class PrintedProgress(Progress):
    """Prints a line for each thing that happens."""

    def say(self, text: str) -> None:
        """Prints the line."""
        print(text, flush=True)

    def begin(self, label: str, total_steps: int) -> None:
        """Prints how long the training is."""
        print(f"{label}: training, {total_steps:,} steps", flush=True)

    def end(self, label: str, summary: str) -> None:
        """Prints how it ended."""
        print(f"{label}: {summary}", flush=True)


class ProgressCallback(keras.callbacks.Callback):
    """Passes the steps of `fit` on to a listener."""

    def __init__(self, progress: Progress):
        super().__init__()
        self._progress = progress

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Tells how many steps are done."""
        del batch
        self._progress.advance(int(self.model.iteration), logs or {})
