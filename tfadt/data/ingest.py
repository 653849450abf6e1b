"""Stage `ingest`: a log of clicks or ratings becomes three splits of codes, two vocabularies and a manifest."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfadt.config.ingest import IngestConfig
from tfadt.config.section import Section
from tfadt.config.validation import validate
from tfadt.data import artifact
from tfadt.data.build import build, settings_of
from tfadt.data.columnar import read_table
from tfadt.data.database import Database
from tfadt.data.files import find_files, named_file, source_kind
from tfadt.data.interactions import InteractionData
from tfadt.data.log import LocalLog, Progress
from tfadt.data.manual_files import manual_files
from tfadt.data.readers import as_source, read_file
from tfadt.data.simulated import simulate
from tfadt.data.splits import check_shares
from tfadt.errors import ConfigError


def ingest(
    source: Any = None, on_progress: Progress | None = None, *, folder: Path | None = None, **settings: Any
) -> InteractionData:
    """Reads, cleans, splits and encodes interactions.

    In this order: read; reject rows without ids, readable feedback or (where the split needs it) time; keep each
    (user, item) pair once, the latest one; leave out what is too rare; split; keep true positives in test (the paper's
    section 5), the others apart; drop users and items unseen in training from validation and test; tell which training
    interactions are known to be liked (3.4).

    Args:
        source: Files (a path, text or a list of them), a DataFrame of pandas or polars, a table of pyarrow, or all settings
            as an `IngestConfig`. A folder written by `artifact.save` is loaded as it is. None for what `settings` name.
        on_progress: Called with one line at each step.
        folder: Where temporary files go, some 40 bytes a row (default: the system's temporary folder).
        **settings: Settings of `IngestConfig` by name, such as `where="is_click = 1"` or `columns={"user": "uid"}`.

    Returns:
        The data; `manifest["rows"]` accounts for every row that came in.

    Raises:
        ConfigError: If the sources or settings contradict each other.
        DataError: If the input cannot be used.
        OutOfMemoryError: If it fits neither into `memory_limit` nor on the disk.
        WorkerError: If workers of Apache Beam did not come to an end.
    """
    say = on_progress or _silent
    is_config, is_path = isinstance(source, IngestConfig), isinstance(source, str | Path | list | tuple)
    config = _with_settings(source if is_config else IngestConfig(), settings | ({"data": source} if is_path else {}))
    if source is not None and not is_config and not is_path:
        return from_frame(source, config)
    check_shares(config.split)
    kind = source_kind(config)
    _check_runner(kind, config)
    if kind == "data" and config.data is not None and len(config.data) == 1 and artifact.is_artifact(config.data[0]):
        say(f"Loading {config.data[0]}")
        data = artifact.load(config.data[0])
        _check_same_settings(data.manifest, config)
        return data
    if config.runner == "beam":
        return _with_beam(config, say, folder)
    files = find_files(config) if kind in ("data", "splits") else []
    with Database([*(file.path for file in files), *_beside(config)], config.memory_limit, folder) as database:
        if files:
            sources = []
            for file in files:
                say(f"Reading {file.path}")
                sources.append(read_file(file, config, database))
        else:
            sources = [as_source(table, config, database) for table in _tables(kind, config, say, database)]
        return build(LocalLog(sources, config, say, database), kind == "dataset", config, say, database)


def from_frame(frame: Any, config: IngestConfig | None = None) -> InteractionData:
    """Returns the data of a log in memory, treated as `ingest` treats a file.

    Args:
        frame: One row an interaction, columns as named in `config.columns`: a DataFrame of pandas or polars, or a table of
            pyarrow.
        config: Settings; its source is not used.

    Raises:
        ConfigError: If settings contradict each other.
        DataError: If the frame cannot be used.
    """
    config = config or IngestConfig()
    _check_runner("DataFrame", config)
    check_shares(config.split)
    with Database(_beside(config), config.memory_limit) as database:
        source = as_source(read_table("The DataFrame", frame, database), config, database)
        return build(LocalLog([source], config, _silent, database), False, config, _silent, database)


def source_files(config: IngestConfig) -> list[Path]:
    """Returns the files, or the ingested folder, whose content decides what the configuration's source gives.

    Of a data set of ours they are its manual files, as far as they are there; another data set, or the simulation, has none.
    """
    kind = source_kind(config)
    if kind == "data" and config.data is not None and len(config.data) == 1 and artifact.is_artifact(config.data[0]):
        files = list(config.data)
    elif kind == "dataset":
        files = manual_files(str(config.dataset), config.manual_dir)
    else:
        files = [file.path for file in find_files(config)] if kind != "simulate" else []
    return files if config.extra_feedback.file is None else [*files, config.extra_feedback.file]


def _check_runner(kind: str, config: IngestConfig) -> None:
    """Refuses sources that Beam does not read, and options of Beam without it."""
    if config.runner == "beam" and kind not in ("data", "splits"):
        raise ConfigError(
            "ingest.runner = 'beam' reads files: it expects ingest.data, or ingest.train, valid and test. Received: "
            f"{kind if kind == 'DataFrame' else f'ingest.{kind}'}."
        )
    if config.runner != "beam" and config.runner_options:
        raise ConfigError(
            f"ingest.runner_options are options of Apache Beam. Expected none for ingest.runner = '{config.runner}'. "
            f"Received: {' '.join(config.runner_options)}."
        )


def _with_beam(config: IngestConfig, say: Progress, folder: Path | None) -> InteractionData:
    try:
        from tfadt.data.beam_log import BeamLog, match
    except ModuleNotFoundError as error:
        raise ConfigError("ingest.runner = 'beam' needs Apache Beam: pip install 'tfadt[beam]'.") from error
    files = find_files(config, match)
    with Database(_beside(config), config.memory_limit, folder) as database, BeamLog(files, config, say, database) as log:
        return build(log, False, config, say, database)


def _silent(line: str) -> None:
    """Says nothing of the progress."""


def _beside(config: IngestConfig) -> list[Path]:
    return [] if config.extra_feedback.file is None else [named_file(config.extra_feedback.file, config).path]


def _tables(kind: str, config: IngestConfig, say: Progress, database: Database) -> list[Any]:
    if kind == "simulate":
        say("Simulating clicks")
        return [read_table("simulated", simulate(config.simulated), database, format="simulated")]
    say(f"Reading {config.dataset}")
    name = str(config.dataset)
    # By name: TensorFlow Datasets takes seconds to import, and the package of our data sets stands on this one.
    reader = importlib.import_module("tfadt.datasets.tables")
    tables = []
    for part, (frame, lost) in reader.read_dataset(name, config.columns, config.manual_dir).items():
        label = f"{name}[{part}]" if part else name
        table = read_table(label, frame, database, part or None, "tfds")
        tables.append(replace(table, lost=lost))
    return tables


def _with_settings(config: IngestConfig, settings: Mapping[str, Any]) -> IngestConfig:
    """Returns the configuration with settings that Python code gives, sections as sections or as dicts."""
    if not settings:
        return config
    merged = config.model_dump(mode="json")
    for name, value in settings.items():
        merged[name] = value.model_dump(mode="json") if isinstance(value, Section) else value
    return validate(IngestConfig, merged, name="ingest")


def _check_same_settings(manifest: Mapping[str, Any], config: IngestConfig) -> None:
    """Refuses settings that a folder made with others would silently not follow."""
    default, made_with = settings_of(IngestConfig()), manifest.get("settings", {})
    for name, value in settings_of(config).items():
        if value != default[name] and value != made_with.get(name):
            raise ConfigError(
                f"{config.data[0] if config.data else ''} was ingested with other settings of ingest.{name}; ingest the log "
                f"anew to change them. Expected {made_with.get(name)}. Received: {value}."
            )
