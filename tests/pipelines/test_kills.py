"""Real processes: two at once in one folder, and one that is killed and started again."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tfadt.pipelines.store import Store

KILLS = int(os.environ.get("TFADT_SOAK_KILLS", "3"))
SEED = int(os.environ.get("TFADT_SOAK_SEED", "0"))

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
SLOW = """
import sys
from pathlib import Path
from pipeline_cases import constant, counted
from tfadt.pipelines.local_runner import run
from tfadt.pipelines.pipeline import Pipeline
start = constant(value=7.0)
run(Pipeline("p", [start, counted(a=start["number"], until=60, pause=0.015)]), Path(sys.argv[1]))
"""


GATED = """
import sys
from pathlib import Path
from pipeline_cases import constant, gated
from tfadt.pipelines.local_runner import run
from tfadt.pipelines.pipeline import Pipeline
start = constant(value=7.0)
run(Pipeline("p", [start, gated(a=start["number"], gate=sys.argv[2])]), Path(sys.argv[1]))
"""


def test_a_second_process_is_told_that_one_is_at_work_and_tears_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", GATED, str(tmp_path / "store"), str(tmp_path / "gate")]
    first = subprocess.Popen(command, env=ENVIRONMENT)
    try:
        while not (tmp_path / "store" / "logs").exists() or not Store(tmp_path / "store").is_locked():
            assert first.poll() is None
            time.sleep(0.01)
        second = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
        assert second.returncode == 1
        assert "Another process is writing to" in second.stderr
        (tmp_path / "gate").touch()
        assert first.wait(60) == 0
    finally:
        first.kill()
    store = Store(tmp_path / "store")
    assert len(store.executions()) == 2
    for name in store.executions():
        record = store.record(name)
        assert record is not None
        store.check_outputs(name, record)


def test_killed_at_random_moments_it_ends_with_the_same_artifacts(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW]
    subprocess.run([*command, str(tmp_path / "whole")], env=ENVIRONMENT, check=True)
    store = tmp_path / "store"
    chance = random.Random(SEED)
    kills = 0
    while kills < KILLS:
        process = subprocess.Popen([*command, str(store)], env=ENVIRONMENT)
        try:
            process.wait(chance.uniform(0.2, 1.4))
        except subprocess.TimeoutExpired:
            process.kill()
        kills += process.wait() != 0
        # Whatever the moment, what looks complete is complete.
        for folder in (store / "artifacts").iterdir() if (store / "artifacts").exists() else []:
            reader = Store(store)
            record = reader.record(folder.name)
            assert record is not None
            reader.check_outputs(folder.name, record)
        if process.returncode == 0:
            shutil.rmtree(store)
    subprocess.run([*command, str(store)], env=ENVIRONMENT, check=True)
    assert snapshot(store) == snapshot(tmp_path / "whole")
    assert list((store / "partial").iterdir()) == []


def snapshot(store: Path) -> dict[str, bytes]:
    artifacts = store / "artifacts"
    files = (path for path in artifacts.rglob("*") if path.is_file() and path.name != "execution.json")
    return {str(path.relative_to(artifacts)): path.read_bytes() for path in files}
