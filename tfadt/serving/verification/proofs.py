"""What a version must prove; each proof returns what was found, or raises what is wrong."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfadt.errors import DataError
from tfadt.evaluation.protocol import at_cut_offs, test_evaluator
from tfadt.experiments.saved import SavedRun
from tfadt.serving.contract import check_signatures
from tfadt.serving.export.graph_check import check_graph, read_saved_model
from tfadt.serving.metadata import check_files
from tfadt.serving.requests import read_warmup
from tfadt.serving.served import served_metrics
from tfadt.serving.verification.cases import Cases, answer_with_tensorflow_only
from tfadt.serving.verification.loader_check import Latency, run_loader
from tfadt.serving.verification.tensorflow_only import Case, write_cases

_SAME_METRIC = 1e-4  # Two scores that are equal up to rounding may change places.


class Proofs:
    """The proofs of one version, in the order in which they make sense.

    Args:
        folder: The version.
        metadata: What it says of itself.
        run: Its run, or the folder of that; default where it lay at export.
        seconds: Time of each measurement under the C++ loader.

    Attributes:
        load_seconds: Set by `loader`: time to load.
        latencies: Set by `loader`.
        metrics: Set by `quality`: metrics on the clean test.
    """

    def __init__(self, folder: Path, metadata: dict[str, Any], run: Path | SavedRun | None, seconds: float):
        self._folder = folder
        self._metadata = metadata
        self._run = run
        self._seconds = seconds
        self._answered: list[Case] = []
        self.load_seconds: float | None = None
        self.latencies: list[Latency] = []
        self.metrics: dict[str, float] = {}

    def files(self) -> str:
        """Every file holds the bytes that were exported."""
        check_files(self._folder)
        return f"{len(self._metadata['files'])} files as exported"

    def tensorflow(self) -> str:
        """The version was not exported with a newer TensorFlow than this one."""
        exported = self._metadata["tensorflow"]
        if _release(exported) > _release(tf.__version__):
            raise DataError(
                f"The version was exported with TensorFlow {exported}, and this is {tf.__version__}: an older TensorFlow "
                "may not know what a newer one writes ('NodeDef mentions attr'). Export with the server's version or an "
                "older one."
            )
        return f"exported with TensorFlow {exported}, verified with {tf.__version__}; the server needs {exported} or newer"

    def graph(self) -> str:
        """The graph has nothing that a server lacks, and the signatures are those of the contract."""
        model = read_saved_model(self._folder)
        check_graph(model)
        check_signatures(model.meta_graphs[0].signature_def, self._metadata)
        return (
            f"signatures {', '.join(self._metadata['signatures'])}; no Python, no custom operation, no table as a constant"
        )

    def answers(self) -> str:
        """A process with TensorFlow only answers every warm-up record as the trained model did, and hard requests at all."""
        with tempfile.TemporaryDirectory() as work:
            self._answered = answer_with_tensorflow_only(self._folder, self._cases.all(), Path(work))
        self._cases.check({case.name: case.outputs for case in self._answered})
        return (
            f"{len(self._cases.recorded)} warm-up records answered as the model does, {len(self._cases.hard)} hard requests "
            f"answered and {len(self._cases.malformed)} malformed ones refused, by TensorFlow without tfadt and Keras"
        )

    def loader(self) -> str:
        """The C++ loader of TensorFlow Serving gives the answers that Python gives."""
        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / "cases"
            write_cases(str(path), self._answered)
            report = run_loader(self._folder, path, self._seconds)
        for case in self._answered:
            verdict, why = report.answers.get(case.name, ("wrong", "no answer"))
            if verdict != ("ok" if case.outputs else "refused"):
                raise DataError(f"The C++ loader differs from Python in '{case.name}': {verdict} {why}".rstrip() + ".")
        self.load_seconds, self.latencies = report.load_seconds, report.latencies
        return (
            f"loads in {report.load_seconds:.2f} s and runs under the loader TensorFlow Serving uses (C++, no Python), "
            f"{len(report.answers)} answers equal Python's"
        )

    def quality(self) -> str | None:
        """The served model ranks the clean test as well as the trained one."""
        if not {"run", "test_metrics"} <= self._metadata.keys() or "recommend" not in self._metadata["signatures"]:
            return None
        run = self._run if isinstance(self._run, SavedRun) else self._open(self._run or Path(self._metadata["run"]))
        if run.data.manifest.get("fingerprint") != self._metadata["data_fingerprint"]:
            raise DataError(f"The run {run.folder} has other data than the run that was exported.")
        expected, ks = self._expected_metrics(run)
        own = self._metadata["exclude_seen"]
        self.metrics = served_metrics(self._folder, run.data, run.config, ks, exclude=not own)
        for name, value in self.metrics.items():
            if abs(value - expected[name]) > _SAME_METRIC:
                raise DataError(
                    f"The served model has {name} {value:.6f} on the clean test, the trained one {expected[name]:.6f}."
                )
        first = next(iter(self.metrics))
        largest = max(abs(value - expected[name]) for name, value in self.metrics.items())
        return (
            f"{first} {self.metrics[first]:.4f} on the clean test; {len(self.metrics)} metrics equal the trained model's "
            f"(largest difference {largest:.1e})"
        )

    @staticmethod
    def _open(folder: Path) -> SavedRun:
        if not folder.is_dir():
            raise DataError(
                f"The run {folder} is not there, so its clean test cannot be ranked. Name its folder with --run."
            )
        return SavedRun.open(folder)

    def _expected_metrics(self, run: SavedRun) -> tuple[dict[str, float], list[int]]:
        """Returns the trained model's metrics and the cut-offs at which they are known and served."""
        k = self._metadata["k"]
        ks = [cut for cut in run.config.evaluate.k if cut <= k]
        if ks:
            return self._metadata["test_metrics"], ks
        # The export is shorter than every cut-off of the run: the trained model is ranked again at its length.
        evaluator = test_evaluator(run.data, at_cut_offs(run.config, [k]))
        return evaluator(run.load_model(self._metadata["trained_model"])).metrics, [k]

    @cached_property
    def _cases(self) -> Cases:
        return Cases(read_warmup(self._folder))


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
