"""The training pipeline's small settings on simulated data, and what its artifacts hold."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import tensorflow as tf

from tfadt.config import Config
from tfadt.config.loading import load_config

SMALL = [
    "ingest.simulated.users=120",
    "ingest.simulated.items=60",
    "ingest.simulated.interactions=2500",
    "adt.models=gmf",
    "adt.policies=t_ce",
    "adt.plans=warmup+adt+finetune",
    "warmup.epochs=2",
    "adt.preset=paper",
    "adt.epochs=2",
    "finetune.epochs=2",
    "collide.enabled=true",
    "collide.neighbors=1,5",
    "evaluate.k=5,10",
    "evaluate.blessing.min_difference=-1",
    "model.gmf.embedding_dim=8",
    "policy.t_ce.max_drop_rate=0.2",
    "policy.t_ce.num_gradual=0.5",
    "export.k=10",
    "verify.loader=skip",
]


def settings(served: Path, *more: str) -> Config:
    return load_config(None, [*SMALL, f"push.to={served}", *more])


def content(artifact: Path) -> dict[str, object]:
    """Returns what an artifact holds, without times and version numbers, which are those of the making."""
    found: dict[str, object] = {}
    for path in sorted(path for path in artifact.rglob("*") if path.is_file() and "logs" not in path.parts):
        name = re.sub(r"\d{10}", "VERSION", path.relative_to(artifact).as_posix())
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                found[name] = {part: archive.read(part) for part in archive.namelist() if part != "metadata.json"}
        elif path.name == "variables.index":
            reader = tf.train.load_checkpoint(str(path.with_suffix("")))
            keys = [key for key in reader.get_variable_to_shape_map() if key.endswith("VARIABLE_VALUE")]
            # Their order in the graph is that of a set.
            found[name] = sorted(str(reader.get_tensor(key).tolist()) for key in keys)
        elif path.suffix == ".json" and "VERSION" in name:
            found[name] = sorted(json.loads(path.read_text()))
        elif path.suffix != ".pb" and not {"variables", "assets.extra"} & set(path.parts):
            found[name] = _MADE.sub(b"", path.read_bytes())
    return found


_MADE = re.compile(rb'\d{10}|"seconds": [\d.e-]+|\| [\d.]+ \|$', re.MULTILINE)  # versions and times
