"""Small components that need no TensorFlow, for the tests of the pipelines' machinery."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tfadt.components.artifacts.base import Artifact
from tfadt.components.artifacts.pushed_model import PushedModel
from tfadt.components.artifacts.trained_run import TrainedRun
from tfadt.components.component import component
from tfadt.components.signature import Input, LastPushed, Output, Parameter, Previous, WorkFolder
from tfadt.errors import DataError


class Number(Artifact):
    """Layout: `number.json` (`value`)."""

    files = ("number.json",)

    def write(self, value: float) -> None:
        self.write_json("number.json", {"value": value})

    def read(self) -> float:
        return float(self.read_json("number.json", ("value",))["value"])

    def summary(self) -> dict[str, Any]:
        return {"value": self.read()}


class Text(Artifact):
    """Layout: `text.txt`."""

    files = ("text.txt",)


@component(reads=lambda file: [] if file is None else [Path(file)])
def constant(number: Output[Number], value: Parameter[float] = 1.0, file: Parameter[str | None] = None) -> None:
    """Writes a number, or the one in a file."""
    print(f"constant {value}")
    number.write(value if file is None else float(Path(file).read_text()))


@component
def add(number: Output[Number], a: Input[Number], b: Input[Number] | None = None, plus: Parameter[float] = 0.0) -> None:
    """Adds."""
    number.write(a.read() + (b.read() if b is not None else 0.0) + plus)


@component
def describe(text: Output[Text], number: Input[Number]) -> None:
    """Writes a number out."""
    text.path.mkdir(parents=True)
    (text.path / "text.txt").write_text(f"It is {number.read():g}.")


def _check_limit(limit: float) -> None:
    if limit < 0:
        raise DataError(f"The limit must not be negative. Received: {limit}.")


@component(check=_check_limit)
def limited(number: Output[Number], a: Input[Number], limit: Parameter[float]) -> None:
    """Hands a number on, unless it is above a limit."""
    print(f"The limit is {limit}")
    if a.read() > limit:
        raise ValueError(f"{a.read()} is above {limit}\nand more")
    number.write(a.read())


@component
def compared(number: Output[Number], a: Input[Number], previous: Previous[Number] | None = None) -> None:
    """Writes the difference from the earlier run's number plus the number itself times 1,000."""
    number.write(1000 * a.read() + (previous.read() % 1000 if previous is not None else 0) + 1)


@component
def follows(number: Output[Number], a: Input[Number], pushed: LastPushed[Number] | None = None) -> None:
    """Writes the number that was pushed last, -1 for none."""
    number.write(-1 if pushed is None else pushed.read())


@component
def counted(
    number: Output[Number], a: Input[Number], work: WorkFolder, until: Parameter[int], pause: Parameter[float]
) -> None:
    """Counts on from its checkpoint, slowly: the sum of what it counted is the same however often it was killed."""
    checkpoint = work / "checkpoint"
    done, total = map(int, checkpoint.read_text().split()) if checkpoint.exists() else (0, 0)
    for n in range(done, until):
        time.sleep(pause)
        total += n
        (work / "next").write_text(f"{n + 1} {total}")
        os.replace(work / "next", checkpoint)
    for part in range(20):
        (number.path / "parts").mkdir(parents=True, exist_ok=True)
        (number.path / "parts" / str(part)).write_text("x" * 1000)
        time.sleep(pause / 10)
    number.write(a.read() + total)


@component
def gated(number: Output[Number], a: Input[Number], gate: Parameter[str]) -> None:
    """Hands a number on as soon as a file is there."""
    while not Path(gate).exists():
        time.sleep(0.01)
    number.write(a.read())


@component
def stopped(number: Output[Number], a: Input[Number]) -> None:
    """Is stopped by the user."""
    raise KeyboardInterrupt


@component
def publish(number: Input[Number], pushed: Output[PushedModel], to: Parameter[str]) -> None:
    """Puts what looks like a served version into a directory, under the next number."""
    pushed.write(_served(to, str(number.read())), "It is a number.")


@component
def publish_run(run: Input[TrainedRun], pushed: Output[PushedModel], to: Parameter[str]) -> None:
    """Does so for a run, without the time that a real export takes."""
    pushed.write(_served(to, str(run.summary())), "It is a run.")


def _served(to: str, content: str) -> str:
    place = Path(to) / str(len(list(Path(to).glob("*"))) + 1)
    place.mkdir(parents=True)
    (place / "saved_model.pb").write_text(content)
    return str(place)
