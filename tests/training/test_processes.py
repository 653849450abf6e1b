"""Tasks in processes of their own."""

import os
import signal
import threading
import time

import pytest

from tfadt.errors import DivergedError, InterruptedRunError
from tfadt.training import processes
from tfadt.training.processes import ProcessEndedError, at_once

TASKS = """
import os, signal, time, warnings
from pathlib import Path
from tfadt.errors import DivergedError, InterruptedRunError
from tfadt.training.interrupts import listening
from tfadt.training.processes import Passed

def add(content, tell):
    print("what a task prints is not its answer")
    listener = Passed(tell, seldom=["advance"])
    listener.begin(content["a"], 10)
    for step in range(10):
        listener.advance(step)
    if content.get("waits"):
        with listening() as interrupt:
            Path(content["waits"]).touch()
            while interrupt.signum is None:
                time.sleep(0.01)
        Path(content["waits"] + ".stopped").touch()
        raise InterruptedRunError("stopped", 143)
    while content.get("until") and not Path(content["until"]).exists():
        time.sleep(0.01)
    if content.get("warns"):
        warnings.warn("mind the gap")
    if content.get("diverges"):
        raise DivergedError("not finite", 7, {"user": [1]})
    if content.get("dies"):
        os.kill(os.getpid(), signal.SIGKILL)
    if content.get("fails"):
        raise RuntimeError("a fault of ours")
    return content["a"] + content["b"]
"""


@pytest.fixture(autouse=True)
def tasks(tmp_path, monkeypatch):
    (tmp_path / "tasks.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


class Heard:
    def __init__(self):
        self.told = []

    def begin(self, *what):
        self.told.append(what)

    def advance(self, *what):
        self.told.append(what)


def side_by_side(task, contents, jobs=2, listeners=None):
    return processes.side_by_side(task, contents, jobs, listeners or {name: Heard() for name in contents})


def waits_beside(path, **other):
    return {"waiting": {"a": 1, "b": 1, "waits": str(path)}, "other": {"a": 1, "b": 2, **other}}


def test_each_task_is_done_once_whatever_it_prints_tells_or_warns_of():
    contents = {str(n): {"a": n, "b": 1, "warns": n == 2} for n in range(4)}
    listeners = {name: Heard() for name in contents}
    with pytest.warns(UserWarning, match="mind the gap"):
        done = dict(side_by_side("tasks:add", contents, listeners=listeners))
    assert done == {"0": 1, "1": 2, "2": 3, "3": 4}
    assert [listener.told[:2] for listener in listeners.values()] == [[(n, 10), (0,)] for n in range(4)]
    assert max(len(listener.told) for listener in listeners.values()) < 11  # of what is told seldom the first, at once


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("diverges", DivergedError, "^not finite$"),
        ("dies", ProcessEndedError, r"^other: Its process was ended by SIGKILL \(is there enough memory\?\)\.$"),
        ("fails", ProcessEndedError, r"^other: Its process ended with code 1: RuntimeError: a fault of ours \(see "),
    ],
)
def test_one_that_fails_stops_the_others_in_good_order(tmp_path, fault, error, message):
    waits = tmp_path / "waits"
    with pytest.raises(error, match=message) as caught:
        list(side_by_side("tasks:add", waits_beside(waits, until=str(waits), **{fault: True})))
    assert (tmp_path / "waits.stopped").exists()
    if fault == "diverges":
        assert (caught.value.step, caught.value.batch) == (7, {"user": [1]})


def test_a_signal_stops_the_tasks_in_good_order(tmp_path):
    waits = tmp_path / "waits"

    def strike():
        while not waits.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=strike).start()
    with pytest.raises(InterruptedRunError, match="Stopped by signal 15") as caught:
        list(side_by_side("tasks:add", waits_beside(waits)))
    assert caught.value.exit_code == 143
    assert (tmp_path / "waits.stopped").exists()


def test_as_many_processes_as_cores_and_memory_allow(monkeypatch):
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(processes, "available_memory", lambda: 20_000_000_000)
    assert at_once(None, 100, 0) == 6  # of 3 GB each
    assert at_once(None, 100, 20_000_000) == 3  # 150 bytes an interaction are another 3 GB
    assert at_once(None, 2, 0) == 2
    assert at_once(None, 100, 10**9) == 1
    assert at_once(20, 100, 10**9) == 20  # as asked
    assert at_once(None, 0, 0) == 1
