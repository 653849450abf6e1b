"""Where the rows come from: one log, three split files, the authors' files, a TFDS data set, or the simulation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from tfadt.config import IngestConfig
from tfadt.data.accounting import RowAccount
from tfadt.data.authors_format import SUFFIXES, read_authors_file
from tfadt.data.readers import read_file, require
from tfadt.data.simulated import simulate
from tfadt.data.splits import NAMES
from tfadt.errors import ConfigError, DataError


def read_source(
    config: IngestConfig, account: RowAccount, say: Callable[[str], None]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Reads the configured source.

    Returns:
        The rows under our column names (`user`, `item`, feedback, `timestamp`, and `split` where splits are given), and
        the description of the source for the manifest.

    Raises:
        ConfigError: If two sources are named, or only a part of a given split.
        DataError: If the source cannot be read.
    """
    given = {name: getattr(config, name) for name in NAMES}
    named = {
        "data": config.data is not None,
        "train/valid/test": any(path is not None for path in given.values()),
        "dataset": config.dataset is not None,
        "simulate": config.simulate,
    }
    chosen = [name for name, is_set in named.items() if is_set]
    if len(chosen) > 1:
        raise ConfigError(f"Name one source of data. Received: {' and '.join(chosen)}.")
    source = chosen[0] if chosen else "simulate"
    if source == "simulate":
        say("simulating clicks")
        return _simulated(config, account)
    if source == "dataset":
        from tfadt.data.tfds_source import read_tfds  # imports TensorFlow

        say(f"reading {config.dataset}")
        frame = read_tfds(str(config.dataset), config.columns, account)
        return frame, {"kind": "tfds", "name": config.dataset, "simulated": False}
    if source == "train/valid/test":
        missing = [name for name, path in given.items() if path is None]
        if missing:
            raise ConfigError(f"A given split needs train, valid and test. Missing: {', '.join(missing)}.")
        return _three_files(config, given, account, say)
    return _one_log(config, account, say)


def _simulated(config: IngestConfig, account: RowAccount) -> tuple[pd.DataFrame, dict[str, Any]]:
    frame = simulate(config.simulated).rename(columns={"user_id": "user", "item_id": "item"})
    account.rows_in += len(frame)
    parameters = config.simulated.model_dump()
    return frame, {"kind": "simulated", "name": "simulated clicks", "simulated": True, "parameters": parameters}


def _one_log(config: IngestConfig, account: RowAccount, say: Callable[[str], None]) -> tuple[pd.DataFrame, dict[str, Any]]:
    path = Path(str(config.data))
    if config.format == "adt":
        files = {name: path.with_name(path.name + suffix) for name, suffix in SUFFIXES.items()}
        return _three_files(config, files, account, say)
    say(f"reading {path}")
    frame = read_file(path, config.format, config.columns.model_dump(), account)
    return frame, {"kind": "file", "name": path.name, "simulated": False}


def _three_files(
    config: IngestConfig, files: dict[str, Path], account: RowAccount, say: Callable[[str], None]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    frames = []
    for number, name in enumerate(NAMES):
        say(f"reading {files[name]}")
        if config.format == "adt":
            frame = read_authors_file(files[name], name, account)
        else:
            frame = read_file(files[name], config.format, config.columns.model_dump(), account)
            for key in ("user", "item"):
                require(frame, key, getattr(config.columns, key), str(files[name]), frame.attrs["columns"])
        frames.append(frame.assign(split=number))
    _check_same_feedback(frames, files, config)
    together = pd.concat(frames, ignore_index=True)
    together.attrs = {"columns": list(together.columns), "clean_test": config.format == "adt"}
    source = {"kind": "files", "name": " + ".join(files[name].name for name in NAMES), "simulated": False}
    return together, {**source, "given_split": True}


def _check_same_feedback(frames: list[pd.DataFrame], files: dict[str, Path], config: IngestConfig) -> None:
    """A rating in one file and none in another would reject every row of the other as missing: say so instead."""
    if config.format == "adt":
        return
    for key in ("rating", "dwell_time", "false_positive"):
        have = [name for name, frame in zip(NAMES, frames, strict=True) if key in frame.columns]
        if have and len(have) < len(NAMES):
            lacks = next(name for name in NAMES if name not in have)
            raise DataError(
                f"{files[lacks]} has no column '{getattr(config.columns, key)}' ({key}), which {files[have[0]]} has. "
                "Expected the same feedback columns in train, valid and test."
            )
