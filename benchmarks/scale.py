"""`make bench-scale`: a log of 100 million rows from end to end, and what must not grow with users, items and rows.

    python -m benchmarks.scale [--rows 100000000] [--out FOLDER]

Ingest and a run (GMF, one epoch, shared negatives, a test on 10,000 users) are processes of their own, whose peak memory is
that of the process (RSS). Prints a table; exits with 1 where a line falls short, and with 0 and the reason where the machine
has too little memory or disk for so many rows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.ingest import measured as ingested
from benchmarks.ingest import write_log
from benchmarks.run import measure, table
from tfadt.memory import available_memory

_DISK_BYTES_A_ROW = 300  # the log, the artifact, what DuckDB spills, the model, two checkpoints
_MEMORY_BYTES_A_ROW = 140
_MEMORY_BYTES = 1 << 30
_RUN = (
    "adt.epochs=1",
    "adt.validations=1",
    "evaluate.test_users=10000",
    "adt.objective=softmax",
    "adt.negatives=shared",
    "adt.num_negatives=512",
    "adt.batch_size=8192",
)


def why_not(rows: int, folder: Path) -> str | None:
    """Returns why a log of so many rows cannot be measured here; None where it can."""
    needed = {"memory": _MEMORY_BYTES + _MEMORY_BYTES_A_ROW * rows, "disk": _DISK_BYTES_A_ROW * rows}
    there = {"memory": available_memory(), "disk": shutil.disk_usage(folder).free}
    lacking = [
        f"{needed[what] / 1e9:.1f} GB of {what} are needed, {there[what] / 1e9:.1f} GB are to be had"
        for what in needed
        if there[what] is not None and there[what] < needed[what]
    ]
    return "; ".join(lacking) or None


def end_to_end(rows: int, folder: Path) -> list[Figure]:
    """Reads a log, and trains and tests GMF on it."""
    log = folder / "log.parquet"
    write_log(log, rows)
    seconds, peak = ingested("ours", log, folder, "3GB")
    line = f"{rows:,} rows"
    figures = [
        Figure(f"ingest of {line}", seconds, "s", "", None, seconds),
        Figure(f"ingest of {line}: peak memory", peak, "GB", "", None, peak, 6.0, at_least=False),
    ]
    sets = [word for setting in _RUN for word in ("--set", setting)]
    given = ["--data", str(log), "--model", "gmf", "--policy", "standard", "--out", str(folder / "run")]
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "tfadt", "run", *given, *sets, "--jobs", "1"], stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    minutes, peak = (time.perf_counter() - begun) / 60, usage.ru_maxrss * 1024 / 1e9
    if code := os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"The run of {line} ended with {code}.")
    recall = json.loads((folder / "run" / "results.json").read_text())["runs"]
    print({run["model"]: run["metrics"]["recall@20"] for run in recall}, file=sys.stderr)
    name = f"run of {line}, GMF, one epoch, from ingest to test"
    figures.append(Figure(name, minutes, "min", "", None, minutes, 25.0, at_least=False))
    figures.append(Figure(f"{name}: peak memory", peak, "GB", "", None, peak, 14.0, at_least=False))
    return figures


def main(arguments: list[str]) -> int:
    """Runs the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description="100 million rows from end to end.")
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()), help="Where its temporary folder is made.")
    given = parser.parse_args(arguments)
    if (lacking := why_not(given.rows, given.out)) is not None:
        print(f"Skipped: {lacking}.")
        return 0
    with tempfile.TemporaryDirectory(dir=given.out) as folder:
        found = end_to_end(given.rows, Path(folder))
    for section in ("growth", "validation", "catalogue"):
        print(f"Measuring {section} ...", file=sys.stderr, flush=True)
        found += measure(section)
    print(table(found))
    return int(any(not figure.reached for figure in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
