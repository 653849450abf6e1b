"""Tasks in Python processes of their own: several at once, and with one task a process, its memory given back at its end.

The parent writes a line of JSON for each task to the child's standard input and keeps it open: its end tells the child that
the parent is gone. The child answers in lines of JSON: what it tells on the way, and how the task ended. What else it prints
goes into a file. Signals reach the parent alone, which passes on that it was asked to stop.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any, TextIO

import numpy as np

import tfadt.errors
from tfadt.errors import InterruptedRunError, OutOfMemoryError, TfadtError
from tfadt.memory import available_memory
from tfadt.registry import MODELS, POLICIES
from tfadt.training.interrupts import listening
from tfadt.training.threads import sleep_when_idle

Tell = Callable[..., None]
_OF_A_PROCESS, _OF_A_CLICK = 3_000_000_000, 150
"""Bytes: what a process that trains needs, and what an interaction adds."""
_LOOK = 0.2
"""Seconds after which the parent looks whether it was asked to stop, and a child tells again what it tells seldom."""


def at_once(jobs: int | None, tasks: int, interactions: int) -> int:
    """Returns how many processes are to share the tasks: as asked, else one a core as far as memory goes, one with a GPU.

    Args:
        jobs: As asked; None to choose.
        tasks: How many there are.
        interactions: Of the data set that each process reads.
    """
    if jobs is None:
        import tensorflow as tf  # here alone: a child has its task's imports to wait for, and no others

        if tf.config.list_physical_devices("GPU"):
            return 1
        free = available_memory()
        jobs = len(os.sched_getaffinity(0))
        if free is not None:
            jobs = min(jobs, free // (_OF_A_PROCESS + _OF_A_CLICK * interactions))
    return max(1, min(jobs, tasks))


class Passed:
    """A listener of whatever kind in a child: tells the parent the name of each method that is called, and its arguments.

    Args:
        tell: Tells.
        seldom: Methods that are told a few times a second only.
    """

    def __init__(self, tell: Tell, seldom: Sequence[str] = ()):
        self._tell = tell
        self._seldom = seldom
        self._told = 0.0

    def __getattr__(self, name: str) -> Callable[..., None]:
        def heard(*arguments: Any) -> None:
            if name in self._seldom:
                now = time.monotonic()
                if now - self._told < _LOOK:
                    return
                self._told = now
            self._tell(name, *arguments)

        return heard


class ProcessEndedError(OutOfMemoryError):
    """A process ended in the midst of a task, most often for want of memory."""


class Process:
    """A process that does tasks, one after the other; within a `with` block.

    Args:
        log: Where what it prints goes.
    """

    def __init__(self, log: Path):
        self._log = log
        # It asks no chief of keras-tuner: its parent does. It has TensorFlow's threads as any process, a core each, although
        # processes at once share the cores: with fewer threads a matrix product sums in another order, and the figures of
        # CDAE would be others than those of one process.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KERASTUNER_")}
        with log.open("wb") as errors:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tfadt.training.processes"],
                bufsize=0,  # nothing is left to be written to a child that is gone when its pipe is closed
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )

    def do(self, task: str, content: Mapping[str, Any], tell: Tell) -> Any:
        """Does a task and returns what it returns.

        Args:
            task: Names it: `module:function`. It takes the content, and what to tell with.
            content: JSON-ready.
            tell: Hears what the task tells, JSON-ready.

        Raises:
            TfadtError: As the task does.
            ProcessEndedError: If the process ended before the task.
        """
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        line = {"task": task, "content": content, "registry": {"models": MODELS, "policies": POLICIES}}
        with suppress(BrokenPipeError):  # where it died before it read its task, the log says why
            self._child.stdin.write(json.dumps(line).encode() + b"\n")
        for answer in self._child.stdout:
            message = json.loads(answer)
            if "told" in message:
                tell(*message["told"])
            elif "warned" in message:
                warnings.warn(message["warned"], stacklevel=2)
            elif "raised" in message:
                raise _raised(*message["raised"])
            else:
                return message["returned"]
        raise ProcessEndedError(self._how_it_ended())

    def ask_to_stop(self) -> None:
        """Asks it to stop in good order."""
        self._child.terminate()

    def _how_it_ended(self) -> str:
        code = self._child.wait()
        if code < 0:
            name = signal.Signals(-code).name
            return f"Its process was ended by {name}{' (is there enough memory?)' if name == 'SIGKILL' else ''}."
        last = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        return f"Its process ended with code {code}: {''.join(last)} (see {self._log})"

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            pipe.close()
        self._child.wait()


def side_by_side(
    task: str, contents: Mapping[str, Mapping[str, Any]], jobs: int, listeners: Mapping[str, Any]
) -> Generator[tuple[str, Any], None, None]:
    """Does a task with each of the contents, several at once, and yields their names and what they return as they end.

    Args:
        task: Names it, as in `Process.do`.
        contents: By name, in the order in which they are to begin; JSON-ready.
        jobs: How many processes.
        listeners: By the name of a content: hears what its task tells, the name of a method and its arguments, as `Passed`
            tells it.

    Raises:
        TfadtError: The first that a task raises; the others are asked to stop, and have stopped.
        InterruptedRunError: If SIGINT or SIGTERM asked this process to stop; the tasks were asked to, and have stopped.
        ProcessEndedError: If a process ended before its task.
    """
    waiting: Queue[str] = Queue()
    for name in contents:
        waiting.put(name)
    heard: Queue[tuple[str, str, tuple[Any, ...]]] = Queue()
    with ExitStack() as stack, listening() as interrupt:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfadt-")))
        processes = [stack.enter_context(Process(logs / f"{number}.log")) for number in range(min(jobs, len(contents)))]

        def put(name: str, what: str, *value: Any) -> None:
            heard.put((name, what, value))

        def work(process: Process) -> None:
            with suppress(Empty):
                while True:
                    name = waiting.get_nowait()
                    try:
                        outcome = process.do(task, contents[name], partial(put, name, "told"))
                    except ProcessEndedError as error:
                        put(name, "raised", ProcessEndedError(f"{name}: {error}"))
                        return
                    except BaseException as error:
                        put(name, "raised", error)
                        return
                    put(name, "returned", outcome)

        threads = [threading.Thread(target=work, args=(process,), daemon=True) for process in processes]
        for thread in threads:
            thread.start()
        left = len(contents)
        while left:
            if interrupt.signum is not None:
                _stop(processes, threads, waiting)
                raise InterruptedRunError(f"Stopped by signal {interrupt.signum}.", 128 + interrupt.signum)
            try:
                name, what, value = heard.get(timeout=_LOOK)
            except Empty:
                continue
            if what == "told":
                method, *arguments = value
                getattr(listeners[name], method)(*arguments)
            elif what == "raised":
                _stop(processes, threads, waiting)
                raise value[0]
            else:
                left -= 1
                yield name, value[0]


def _stop(processes: Sequence[Process], threads: Sequence[threading.Thread], waiting: Queue[str]) -> None:
    """Has every process stop, and returns when all have."""
    with suppress(Empty):
        while True:
            waiting.get_nowait()
    for process in processes:
        process.ask_to_stop()
    for thread in threads:
        thread.join()


def _raised(kind: str, message: str, attributes: Mapping[str, Any]) -> TfadtError:
    """Returns an error as a child described it."""
    cls = getattr(tfadt.errors, kind, OutOfMemoryError)
    error: TfadtError = cls.__new__(cls, message)
    vars(error).update(attributes)
    return error


def _answer(line: Mapping[str, Any], write: Callable[[dict[str, Any]], None]) -> None:
    """Does the task of a line in this process."""
    MODELS.update(line["registry"]["models"])
    POLICIES.update(line["registry"]["policies"])
    module, _, name = line["task"].partition(":")
    do = getattr(importlib.import_module(module), name)
    if "tensorflow" in sys.modules:
        sleep_when_idle()
    try:
        outcome = do(line["content"], lambda *told: write({"told": told}))
    except TfadtError as error:
        write({"raised": [type(error).__name__, str(error), vars(error)]})
    else:
        write({"returned": outcome})


def _main() -> None:
    # Lines of JSON alone go to the parent; whatever else is printed goes where errors go.
    lines: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    tasks: Queue[bytes] = Queue()

    def write(message: dict[str, Any]) -> None:
        print(json.dumps(message, default=lambda array: np.asarray(array).tolist()), file=lines, flush=True)

    def listen() -> None:
        read = b""
        while piece := os.read(0, 1 << 16):  # not sys.stdin, whose lock a thread would hold at the interpreter's end
            *whole, read = (read + piece).split(b"\n")
            for line in whole:
                tasks.put(line)
        os._exit(1)  # with the parent

    def warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, UserWarning):
            write({"warned": str(message)})

    warnings.showwarning = warn
    threading.Thread(target=listen, daemon=True).start()
    while True:
        _answer(json.loads(tasks.get()), write)


if __name__ == "__main__":
    _main()
