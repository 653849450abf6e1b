"""Compiles loader_check.cc against the installed TensorFlow and runs it: TensorFlow Serving's own loader, no Python."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tfadt.errors import ConfigError, DataError
from tfadt.serving.requests import TOLERANCE

_SOURCE = Path(__file__).with_name("loader_check.cc")
_COMPILERS = ("g++", "c++", "clang++")


@dataclass(frozen=True)
class Latency:
    """How long a signature takes, one thread a client.

    Attributes:
        signature: Its name.
        batch: Rows a request.
        clients: How many ask at once.
        p50, p99: Milliseconds.
        runs: How many requests were timed.
    """

    signature: str
    batch: int
    clients: int
    p50: float
    p99: float
    runs: int


@dataclass(frozen=True)
class LoaderReport:
    """What the program saw.

    Attributes:
        load_seconds: Time to load the model, warm-up not included.
        answers: Case name -> `ok`, `wrong` or `refused`, and why.
        latencies: Those of the cases named `time ...`, by signature, batch size and number of clients.
    """

    load_seconds: float
    answers: dict[str, tuple[str, str]]
    latencies: list[Latency]


def run_loader(folder: Path, cases: Path, seconds: float) -> LoaderReport:
    """Loads a version in C++, answers the cases and measures.

    Args:
        folder: The version.
        cases: A case file, as `tensorflow_only.write_cases` writes it.
        seconds: Time of each measurement.

    Raises:
        ConfigError: If there is no C++ compiler, or the program cannot be compiled.
        DataError: If the version cannot be loaded, or the program dies.
    """
    command = [str(build_loader()), str(folder), str(cases), str(TOLERANCE), str(seconds)]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise DataError(f"{folder} fails in the C++ loader (exit code {done.returncode}): {said[-1]}")
    load_seconds, answers, latencies = 0.0, {}, []
    for line in done.stdout.splitlines():
        kind, *fields = line.split("\t")
        if kind == "load":
            load_seconds = float(fields[0])
        elif kind == "answer":
            answers[fields[0]] = (fields[1], fields[2])
        elif kind == "latency":
            batch, clients, p50, p99, runs = fields[1:]
            latencies.append(Latency(fields[0], int(batch), int(clients), float(p50), float(p99), int(runs)))
    return LoaderReport(load_seconds, answers, latencies)


def build_loader() -> Path:
    """Returns the compiled program, from the user's cache where it was compiled before.

    Raises:
        ConfigError: If there is no C++ compiler, or it fails.
    """
    compiler = find_compiler()
    said_name = " ".join(compiler)
    include, library = tf.sysconfig.get_include(), tf.sysconfig.get_lib()
    flags = ["-O2", "-w", "-pthread", *tf.sysconfig.get_compile_flags()]
    libraries = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{library}"]
    # Without it the linker drops libtensorflow_cc, whose symbols nothing names but which registers the session.
    link = [f"-L{library}", "-Wl,--no-as-needed", *libraries]
    key = hashlib.sha256(
        "\n".join([_SOURCE.read_text(), *compiler, *flags, include, library, tf.__version__]).encode()
    ).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfadt"
    program = cache / f"loader_check-{key}"
    if program.is_file():
        return program
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            made = Path(temporary) / program.name
            command = [*compiler, *flags, str(_SOURCE), "-o", str(made), *link]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                said = next((line for line in done.stderr.splitlines() if "error" in line), "no reason given")
                raise ConfigError(f"{said_name} cannot compile {_SOURCE.name} against TensorFlow {tf.__version__}: {said}")
            os.replace(made, program)
    except OSError as error:
        raise ConfigError(f"The C++ program cannot be written to {cache}: {error.strerror or error}.") from error
    return program


def has_compiler() -> bool:
    """Returns whether there is a C++ compiler."""
    try:
        find_compiler()
    except ConfigError:
        return False
    return True


def find_compiler() -> list[str]:
    """Returns the command of the C++ compiler: `$CXX`, such as `ccache g++`, or the first of g++, c++, clang++.

    Raises:
        ConfigError: If there is none.
    """
    wanted = os.environ.get("CXX")
    try:
        candidates = [shlex.split(wanted)] if wanted and wanted.strip() else [[name] for name in _COMPILERS]
    except ValueError as error:
        raise ConfigError(f"CXX cannot be read as a command: {error}. Received: '{wanted}'.") from error
    for name, *arguments in candidates:
        path = shutil.which(name)
        if path:
            return [path, *arguments]
    raise ConfigError(
        f"The check under the C++ loader needs a C++ compiler ({wanted or ', '.join(_COMPILERS)}), and there is none on the "
        "path: install one (apt-get install g++), name one in CXX, or leave this check out (--without-loader)."
    )
