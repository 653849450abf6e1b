"""What the tests of serving share: a small run's settings, an export of one's own, and how a server sees a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tfadt.config import Config, ExportConfig
from tfadt.config.loading import load_config
from tfadt.serving.contract import SIGNATURES
from tfadt.serving.metadata import fingerprint, read_metadata, write_metadata
from tfadt.serving.verification.verify import blessing_path

MODELS = ("gmf", "neumf", "cdae")
K = 10


def small_config(overrides: Sequence[str] = ()) -> Config:
    """Settings of a run that takes seconds."""
    return load_config(
        overrides=overrides,
        base={
            "ingest": {"simulated": {"users": 120, "items": 60, "interactions": 2500}},
            "adt": {"preset": "paper", "models": list(MODELS), "policies": ["t_ce"], "epochs": 3},
            "evaluate": {"k": [5, 10]},
            "export": {"k": K},
            "model": {"gmf": {"embedding_dim": 8}, "neumf": {"embedding_dim": 4}, "cdae": {"hidden_dim": 16}},
        },
    )


def export_config(model: str) -> ExportConfig:
    """Settings of an export: every signature that GMF can have, those of the default for any other model."""
    every = tuple(name for name in SIGNATURES if name != "recommend_colliding")
    return ExportConfig(k=K, signatures=every if model == "gmf" else ())


def copy_export(version: Path, to: Path) -> Path:
    """Copies a version, with its blessing if it has one, into `to/NAME/NUMBER`."""
    target = to / version.parent.name / version.name
    shutil.copytree(version, target)
    blessing = version.with_name(f"{version.name}.blessing.json")
    if blessing.is_file():
        shutil.copy(blessing, target.parent)
    return target


def renumber(version: Path, to: Path) -> Path:
    """Copies a version to `NAME/NUMBER` with a blessing as `verify` writes it, in no time."""
    shutil.copytree(version, to)
    metadata = read_metadata(to) | {"name": to.parent.name, "version": int(to.name)}
    metadata.pop("files")
    write_metadata(to, metadata)
    blessing = {"blessed": True, "fingerprint": fingerprint(to), "checks": []}
    blessing_path(to).write_text(json.dumps(blessing))
    return to


def seen_by_server(folder: Path) -> list[Path]:
    """Returns what TensorFlow Serving would load from a model's folder: every entry whose name reads as an integer."""

    def is_integer(name: str) -> bool:
        try:
            int(name)
        except ValueError:
            return False
        return True

    return [path for path in sorted(folder.iterdir()) if is_integer(path.name)] if folder.is_dir() else []
