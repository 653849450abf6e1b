"""`make bench-ingest`: reading a log, beside the same work by hand in pandas; each in a process of its own, in turn.

    python -m benchmarks.ingest [--rows 10000000] [--large 100000000] [--repeats 3] [--out FOLDER]

A log has 50 rows a user, 50,000 items of which a few are popular, ratings and times. Prints a table; exits with 1 where a
line falls short. Peak memory is that of the process (RSS), temporary files lie in the folder.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from benchmarks.figures import Figure
from benchmarks.run import table

_CHUNK = 10_000_000
_ITEMS = 50_000
_SAME_ROWS = 250_000_000


def write_log(path: Path, rows: int) -> None:
    """Writes a log as Parquet."""
    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - start)
        part = pa.table(
            {
                "user_id": rng.integers(0, rows // 50, count),
                "item_id": (_ITEMS * rng.random(count) ** 2).astype(np.int64),
                "rating": rng.integers(1, 6, count),
                "timestamp": 1_600_000_000 + rng.integers(0, 50_000_000, count),
            }
        )
        writer = writer or pa_parquet.ParquetWriter(path, part.schema)
        writer.write_table(part, row_group_size=1_000_000)
    assert writer is not None
    writer.close()


def write_same_rows(path: Path, rows: int) -> None:
    """Writes a small .csv.gz that is a large log of one pair."""
    with gzip.open(path, "wb", compresslevel=6) as file:
        file.write(b"user_id,item_id\n1,1\n1,2\n2,1\n2,2\n")
        block = b"1,2\n" * 1_000_000
        for _ in range(rows // 1_000_000):
            file.write(block)


def ours(path: Path, folder: Path, limit: str) -> None:
    """Ingests a log."""
    from tfadt.data.ingest import ingest

    warnings.simplefilter("ignore")
    ingest(path, folder=folder, memory_limit=limit)


def by_hand(path: Path, folder: Path) -> None:
    """Reads, merges, splits and encodes a log in pandas, as one would write it."""
    log = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    log = log.sort_values("timestamp", kind="stable").drop_duplicates(["user_id", "item_id"], keep="last")
    log["false_positive"] = log["rating"] < 3
    log["chance"] = np.random.default_rng(0).random(len(log))
    log = log.sort_values(["user_id", "chance"])
    of_user = log.groupby("user_id")["user_id"]
    count, place = of_user.transform("size").to_numpy(), of_user.cumcount().to_numpy() + 1
    part = np.where(place <= np.round(count * 0.1), 2, np.where(place <= np.round(count * 0.2), 1, 0))
    users, items = (np.sort(log.loc[part == 0, name].unique()) for name in ("user_id", "item_id"))
    for number, name in enumerate(("train", "valid", "test")):
        rows = log[part == number]
        rows = rows[rows["user_id"].isin(users) & rows["item_id"].isin(items)]
        coded = {"user": np.searchsorted(users, rows["user_id"]), "item": np.searchsorted(items, rows["item_id"])}
        pd.DataFrame({**coded, "false_positive": rows["false_positive"].to_numpy()}).to_parquet(folder / f"{name}.parquet")


def measured(what: str, path: Path, folder: Path, limit: str = "1GB") -> tuple[float, float]:
    """Returns seconds and peak GB of a fresh process."""
    command = [sys.executable, "-m", "benchmarks.ingest", "--here", what, str(path), str(folder), limit]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parent.parent)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    print(f"{what} {path.name}: {seconds:.1f} s, {peak:.2f} GB", file=sys.stderr, flush=True)
    return seconds, peak


def figures(rows: int, large: int, repeats: int, folder: Path) -> list[Figure]:
    """Measures all lines of the table."""
    parquet, csv = folder / "log.parquet", folder / "log.csv"
    write_log(parquet, rows)
    pa_csv.write_csv(pa_parquet.read_table(parquet), csv)
    found = []
    for path, most in ((parquet, 1.0), (csv, 1.2)):
        turns = [(measured("ours", path, folder), measured("hand", path, folder)) for _ in range(repeats)]
        mine, hand = median(turn[0][0] for turn in turns), median(turn[1][0] for turn in turns)
        kind, peak = path.suffix[1:], max(turn[0][1] for turn in turns)
        name = f"ingest of {rows:,} rows, {kind}"
        found.append(Figure(name, mine, "s", "pandas by hand", hand, mine / hand, most, at_least=False))
        target = 1.2 if kind == "parquet" else None
        found.append(Figure(f"{name}: peak memory", peak, "GB", "", None, peak, target, at_least=False))
    csv.unlink()
    same = folder / "same.csv.gz"
    write_same_rows(same, _SAME_ROWS * large // 100_000_000)
    write_log(parquet, large)
    for path, name in ((same, f"{same.stat().st_size / 1e6:.1f} MB of .csv.gz"), (parquet, f"{large:,} rows, parquet")):
        seconds, peak = measured("ours", path, folder, "3GB")
        found.append(Figure(f"ingest of {name}", seconds, "s", "", None, seconds, None, at_least=False))
        found.append(Figure(f"ingest of {name}: peak memory", peak, "GB", "", None, peak, 6.0, at_least=False))
    return found


def main(arguments: list[str]) -> int:
    """Runs the benchmark; returns the exit code."""
    if arguments[:1] == ["--here"]:
        what, path, folder, limit = arguments[1:]
        start = time.perf_counter()
        ours(Path(path), Path(folder), limit) if what == "ours" else by_hand(Path(path), Path(folder))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps([time.perf_counter() - start, peak]))
        return 0
    parser = argparse.ArgumentParser(description="Reading a log, beside pandas by hand.")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--large", type=int, default=100_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="Folder for logs and temporary files; default: a temporary one.")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.out) as folder:
        found = figures(given.rows, given.large, given.repeats, Path(folder))
    print(table(found))
    return 0 if all(figure.reached for figure in found if figure.target is not None) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
