"""What the processes do that the kill tests kill. A module of its own: a fork server imports it, and TensorFlow, once."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from model_cases import checkerboard, make
from serving_cases import renumber

from tfadt.config import ExportConfig
from tfadt.models.gmf import GMF
from tfadt.serving.export.exporter import export_model
from tfadt.serving.push import push


def export_for_ever(folder: Path, version: Path) -> None:
    """Exports version after version into a model's folder."""
    del version
    data = checkerboard()
    model = make(GMF, data)
    while True:
        export_model(model, data, folder, ExportConfig(k=5, signatures=("recommend", "score")))


def push_for_ever(folder: Path, version: Path) -> None:
    """Pushes a version under number after number into a model's folder, keeping two."""
    present = [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []
    with tempfile.TemporaryDirectory() as work:
        for number in itertools.count(1 + max(present, default=0)):
            push(renumber(version, Path(work) / folder.name / str(number)), str(folder.parent), keep=2)
