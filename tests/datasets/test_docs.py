"""docs/datasets.md: its Python, and its commands for a try, run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOC = (ROOT / "docs" / "datasets.md").read_text()
FOLDER = ROOT / "tfadt" / "datasets"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home that is empty, and the commands of this environment."""
    (tmp_path / "home").mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"HOME": str(tmp_path / "home"), "PATH": path}


def built(folder: Path) -> list[str]:
    return [path.parent.relative_to(folder).as_posix() for path in folder.rglob("dataset_info.json")]


def test_the_python_runs(environment: dict[str, str], tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    shutil.copytree(FOLDER / "yelp" / "dummy_data", tmp_path / "downloads")
    command = [sys.executable, "-c", f"{code}\nprint(len(list(clicks)))"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "12"
    assert built(tmp_path / "home" / "tensorflow_datasets") == ["yelp/raw_beam/1.0.0"]


def test_a_try_leaves_nothing_where_real_data_is_looked_for(environment: dict[str, str], tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh\n(export .*?)```", DOC, re.DOTALL)
    here = commands.replace("/tmp/", f"{tmp_path}/")
    done = subprocess.run(["bash", "-e", "-c", here], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "adressa" / "manifest.json").is_file()
    assert built(tmp_path / "tfds") == ["adressa/raw/1.0.0"]
    assert not (tmp_path / "home" / "tensorflow_datasets").exists()
