"""Any TensorFlow Datasets data set as a table. Importing this module imports TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_datasets as tfds

import tfadt.datasets  # noqa: F401 (registers our builders)
from tfadt.config.ingest import Columns
from tfadt.data.manual_files import MANUAL_FILES
from tfadt.data.tables import ReadResult, find_columns
from tfadt.datasets.account import ROWS
from tfadt.datasets.base import InteractionBuilder
from tfadt.errors import DataError, TfadtError

_BATCH_ROWS = 65_536
_GIVEN = {"train": "train", "validation": "valid", "test": "test"}


def read_dataset(name: str, columns: Columns, manual_dir: Path | None = None) -> dict[str, ReadResult]:
    """Reads the features of use of a data set.

    Args:
        name: As TFDS has it, such as `movielens/100k-ratings`, or one of `tfadt.datasets`; prepared (downloaded) first
            where it is not yet.
        columns: Which feature holds what.
        manual_dir: Where files are that users download themselves (default: TFDS's own).

    Returns:
        The tables `train`, `valid` and `test` of a data set that has the splits `train`, `validation` and `test`;
        otherwise all of its `train` as `""`, a log.

    Raises:
        ConfigError: If Apache Beam is needed and not installed.
        DataError: If there is no such data set, it cannot be prepared, has no `train`, or lacks a feature; if it is one of
            ours and was built from other files than those that are there now.
    """
    source = f"The data set {name}"
    try:
        builder = _builder(name)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual_dir))
        features = dict(builder.info.features.items())
    except TfadtError:
        raise
    # TFDS lets through whatever its builders, its downloads and its file systems raise.
    except Exception as error:
        raise DataError(f"{source} cannot be prepared by TensorFlow Datasets: {_first_line(error)}") from error
    splits = _GIVEN if _GIVEN.keys() <= builder.info.splits.keys() else {"train": ""}
    return {ours: _read_split(builder, theirs, features, columns, source) for theirs, ours in splits.items()}


def _builder(name: str) -> tfds.core.DatasetBuilder:
    builder = tfds.builder(name)
    if builder.name in MANUAL_FILES and not isinstance(builder, InteractionBuilder):
        # A name with a version gives what was built before without asking our builder, which compares its files.
        return tfds.builder_cls(builder.name)(config=builder.builder_config.name, version=builder.version)
    return builder


def _read_split(
    builder: tfds.core.DatasetBuilder, split: str, features: Mapping[str, Any], columns: Columns, source: str
) -> ReadResult:
    found = find_columns(columns, features, source)
    for theirs in found.values():
        shape = features[theirs].shape
        if shape != ():
            raise DataError(f"{source}: feature '{theirs}' has shape {shape}. Expected a single value.")
    parts: dict[str, list[np.ndarray]] = {ours: [] for ours in found}
    try:
        decoders = tfds.decode.PartialDecoding(dict.fromkeys(found.values(), True))
        for batch in tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders).batch(_BATCH_ROWS)):
            for ours, theirs in found.items():
                parts[ours].append(batch[theirs])
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise DataError(f"{source} cannot be read, all of its split '{split}': {_first_line(error)}") from error
    if not parts["user"]:
        raise DataError(f"{source} has no rows in its split '{split}'. Expected at least one.")
    frame = pd.DataFrame({ours: _text(np.concatenate(values), source) for ours, values in parts.items()})
    # Lines that a builder of ours could not use; other data sets keep no account.
    rows = (builder.info.metadata or {}).get(ROWS, {}) if isinstance(builder, InteractionBuilder) else {}
    rejected = rows.get(split, {}).get("rejected", {})
    return ReadResult(frame, len(frame) + sum(rejected.values()), rejected, list(features), "tfds")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _text(values: np.ndarray, source: str) -> Any:
    """Returns text for the bytes that TensorFlow has in its place."""
    if values.dtype.kind != "O":
        return values
    try:
        return pd.Series(values).str.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{source} holds text that is not UTF-8: {error}.") from error
