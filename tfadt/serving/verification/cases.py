"""The requests of a verification, and what a process with TensorFlow alone answers to them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfadt.errors import DataError
from tfadt.serving.classification import as_example
from tfadt.serving.contract import CLASSIFY, SIGNATURES, Port, Tensors
from tfadt.serving.requests import Exchange, difference
from tfadt.serving.verification import tensorflow_only
from tfadt.serving.verification.tensorflow_only import Case, read_cases, write_cases

_TIMED = 8  # different requests of each batch size


class Cases:
    """Requests made from the warm-up records of a version, by what their answers must be.

    Args:
        exchanges: The records.
    """

    def __init__(self, exchanges: Sequence[Exchange]):
        self.recorded = {f"record {n} {e.signature}": e for n, e in enumerate(exchanges)}
        self.rows: dict[str, list[Case]] = {}
        self.hard: list[Case] = []
        self.malformed: list[Case] = []
        self.timed: list[Case] = []
        largest = {e.signature: e for e in sorted(exchanges, key=_rows)}
        for name, exchange in self.recorded.items():
            if 1 < _rows(exchange) < _rows(largest[exchange.signature]):
                self.rows[name] = list(_split(name, exchange))
        for signature, exchange in largest.items():
            request = exchange.request
            for what, variant in _answered(signature, request):
                self.hard.append(Case(f"{signature}, {what}", signature, variant))
            for what, variant in _refused(signature, request):
                self.malformed.append(Case(f"{signature}, {what}", signature, variant))
            for n in range(_TIMED):
                rolled = {key: np.roll(value, n, axis=0) for key, value in request.items()}
                one = {key: value[:1] for key, value in rolled.items()}
                for size, tensors in (("one", one), ("batch", rolled)):
                    self.timed.append(Case(f"time {signature} {size} {n}", signature, tensors))

    def all(self) -> list[Case]:
        """Returns every case, without answers."""
        recorded = [Case(name, e.signature, e.request) for name, e in self.recorded.items()]
        return [*recorded, *(case for rows in self.rows.values() for case in rows), *self.hard, *self.malformed, *self.timed]

    def check(self, answers: dict[str, Tensors]) -> None:
        """Checks the answers of a loader.

        Args:
            answers: Case name -> tensors; none where the request was refused.

        Raises:
            DataError: If an answer is not the recorded one, a row's answer depends on the other rows of its batch, a hard
                request is not answered, or a malformed one is.
        """
        for name, exchange in self.recorded.items():
            _check(name, answers[name], exchange.answer)
        for name, rows in self.rows.items():
            parts = [answers[case.name] for case in rows]
            whole = self.recorded[name].answer
            _check(f"{name} row by row", {key: np.concatenate([part[key] for part in parts]) for key in whole}, whole)
        for case in self.hard:
            size = len(next(iter(case.inputs.values())))
            sizes = {len(value) for value in answers[case.name].values()}
            if sizes != {size}:
                raise DataError(
                    f"The request '{case.name}' must be answered with {size} rows. Received: {sizes or 'an error'}."
                )
        for case in self.malformed:
            if answers[case.name]:
                raise DataError(f"The request '{case.name}' must be refused. Received: an answer.")


def answer_with_tensorflow_only(folder: Path, cases: Sequence[Case], work: Path) -> list[Case]:
    """Answers cases in a fresh process in which neither tfadt nor Keras can be imported.

    Args:
        folder: The version.
        cases: The requests.
        work: A folder for the files that go between.

    Raises:
        DataError: If the version cannot be loaded there, or the process dies.
    """
    asked, answered = work / "asked", work / "answered"
    write_cases(str(asked), cases)
    # -I: neither the working directory nor the environment may bring anything in.
    command = [sys.executable, "-I", tensorflow_only.__file__, str(folder), str(asked), str(answered)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise DataError(f"{folder} fails where there is TensorFlow only (exit code {done.returncode}): {said[-1]}")
    return read_cases(str(answered))


def _rows(exchange: Exchange) -> int:
    return len(next(iter(exchange.request.values())))


def _split(name: str, exchange: Exchange) -> Iterator[Case]:
    for n in range(_rows(exchange)):
        yield Case(f"{name} row {n}", exchange.signature, {key: value[n : n + 1] for key, value in exchange.request.items()})


def _check(name: str, found: Tensors, expected: Tensors) -> None:
    differs = difference(found, expected)
    if differs is not None:
        raise DataError(f"The answer to '{name}' is not the model's: {differs}.")


_MANY = 1000
_HARD_TEXTS = {"ids of 10,000 bytes": b"x" * 10_000, "ids that are not UTF-8": b"\xff\xfe\x00\x80", "empty ids": b""}
_HARD_INTEGERS = {"the smallest ids": np.iinfo(np.int64).min, "the largest ids": np.iinfo(np.int64).max, "ids of -1": -1}


def _answered(signature: str, request: Tensors) -> Iterator[tuple[str, Tensors]]:
    """Yields hard variants of a request that must be answered, each with what is hard about it."""
    yield "empty batch", {key: value[:0] for key, value in request.items()}
    yield f"batch of {_MANY}", {key: np.resize(value, (_MANY, *value.shape[1:])) for key, value in request.items()}
    for what, id in _hard_ids(signature).items():
        yield what, {key: _filled(value, id) for key, value in request.items()}
    for key in _lists(signature):
        yield f"{key} of no column", {**request, key: request[key][:, :0]}


def _hard_ids(signature: str) -> Mapping[str, Any]:
    if signature == CLASSIFY:
        return {what: as_example(id) for what, id in _HARD_TEXTS.items()} | {"examples without a user_id": b""}
    return _HARD_INTEGERS if SIGNATURES[signature].inputs.get("user_id") == Port("int64") else _HARD_TEXTS


def _refused(signature: str, request: Tensors) -> Iterator[tuple[str, Tensors]]:
    """Yields malformed variants of a request of two rows or more, which the graph must refuse with an error."""
    if signature == CLASSIFY:
        yield "inputs that are no tf.train.Example", {"inputs": _filled(request["inputs"], b"no example")}
    for key, value in request.items():
        yield f"{key} of another rank", {**request, key: value[..., None] if value.ndim == 1 else value[:, 0]}
        if len(request) > 1:
            yield f"{key} of another batch size", {**request, key: value[:1]}


def _filled(like: np.ndarray, value: Any) -> np.ndarray:
    """Returns an array of one value, like another. `np.full_like` takes zero bytes off the end of bytes."""
    filled = np.empty_like(like)
    filled[...] = value
    return filled


def _lists(signature: str) -> list[str]:
    return [key for key, port in SIGNATURES[signature].inputs.items() if port.columns is not None]
