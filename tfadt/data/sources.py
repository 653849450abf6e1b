"""The tables that the configuration names: one log, three given splits, a TFDS data set or simulated clicks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfadt.config.ingest import IngestConfig
from tfadt.data.authors_format import SUFFIXES
from tfadt.data.manual_files import manual_files
from tfadt.data.readers import read
from tfadt.data.simulated import simulate
from tfadt.data.tables import ReadResult
from tfadt.errors import ConfigError

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Source:
    """One table that came in.

    Attributes:
        name: What messages and the manifest call it: a file name, a data set's name, or `simulated`.
        split: The split that it is, or None for a log that is to be split.
        table: Its rows.
    """

    name: str
    split: str | None
    table: ReadResult


def source_kind(config: IngestConfig) -> str:
    """Returns `"data"`, `"splits"`, `"dataset"` or `"simulate"` (also when nothing is named).

    Raises:
        ConfigError: If two sources are named, or only some of train, valid and test.
    """
    given = [name for name in SPLITS if getattr(config, name) is not None]
    named = {
        "data": config.data is not None,
        "splits": bool(given),
        "dataset": config.dataset is not None,
        "simulate": config.simulate,
    }
    kinds = [kind for kind, is_named in named.items() if is_named]
    if len(kinds) > 1:
        listed = ", ".join("/".join(given) if kind == "splits" else kind for kind in kinds)
        raise ConfigError(
            f"Expected one source of data: ingest.data, ingest.train/valid/test, ingest.dataset or ingest.simulate. "
            f"Received: {listed}."
        )
    if given and len(given) < len(SPLITS):
        missing = ", ".join(name for name in SPLITS if name not in given)
        raise ConfigError(f"Expected all of train, valid and test. Received: {', '.join(given)} without {missing}.")
    return kinds[0] if kinds else "simulate"


def read_sources(config: IngestConfig, on_progress: Callable[[str], None]) -> list[Source]:
    """Reads the source that the configuration names: one table, or three in the order of `SPLITS`."""
    kind = source_kind(config)
    if kind == "simulate":
        on_progress("Simulating clicks")
        frame = simulate(config.simulated)
        names = {"user": "user_id", "item": "item_id", "timestamp": "timestamp"} | {
            config.simulated.feedback: config.simulated.feedback
        }
        frame = frame.rename(columns={theirs: ours for ours, theirs in names.items()})
        return [Source("simulated", None, ReadResult(frame, len(frame), {}, list(names.values()), "simulated"))]
    if kind == "dataset":
        # TensorFlow Datasets takes seconds to import and is needed for this source only.
        from tfadt.data.tfds_source import read_dataset

        on_progress(f"Reading {config.dataset}")
        name = str(config.dataset)
        tables = read_dataset(name, config.columns, config.manual_dir)
        return [Source(f"{name}[{split}]" if split else name, split or None, table) for split, table in tables.items()]
    files = _files(config)
    sources = []
    for split, path in files.items():
        on_progress(f"Reading {path}")
        sources.append(Source(path.name, split or None, read(path, config.format, config.columns)))
    return sources


def source_files(config: IngestConfig) -> list[Path]:
    """Returns the files, or the ingested folder, whose content decides what the configuration's source gives.

    Of a data set of ours they are its manual files, as far as they are there; another data set, or the simulation, has none.
    """
    kind = source_kind(config)
    files = list(_files(config).values()) if kind in ("data", "splits") else []
    if kind == "dataset":
        files = manual_files(str(config.dataset), config.manual_dir)
    return files if config.extra_feedback.file is None else [*files, config.extra_feedback.file]


def _files(config: IngestConfig) -> dict[str, Path]:
    """Returns split -> file; the split is `""` for a log that is to be split."""
    if config.data is None:
        return {split: Path(getattr(config, split)) for split in SPLITS}
    data = Path(config.data)
    names = {split: f"{data}{suffix}" for split, suffix in SUFFIXES.items()}
    found = {split: f"{name}.gz" if os.path.exists(f"{name}.gz") else name for split, name in names.items()}
    if config.format == "adt" or (not os.path.exists(data) and any(map(os.path.exists, found.values()))):
        return {split: Path(name) for split, name in found.items()}
    return {"": data}
