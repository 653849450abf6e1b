"""Any TensorFlow Datasets data set as a table. Importing this module imports TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_datasets as tfds

import tfadt.datasets  # noqa: F401 (registers our builders)
from tfadt.config.ingest import Columns
from tfadt.data.manual_files import MANUAL_FILES
from tfadt.data.tables import ALTERNATIVES
from tfadt.datasets.account import ROWS
from tfadt.datasets.base import InteractionBuilder
from tfadt.errors import DataError, TfadtError

_BATCH_ROWS = 65_536
_GIVEN = {"train": "train", "validation": "valid", "test": "test"}


def read_dataset(
    name: str, columns: Columns, manual_dir: Path | None = None
) -> dict[str, tuple[pa.Table, Mapping[str, int]]]:
    """Reads the features of use of a data set.

    Args:
        name: As TFDS has it, such as `movielens/100k-ratings`, or one of `tfadt.datasets`; prepared (downloaded) first
            where it is not yet.
        columns: Which feature holds what.
        manual_dir: Where files are that users download themselves (default: TFDS's own).

    Returns:
        The tables `train`, `valid` and `test` of a data set that has the splits `train`, `validation` and `test`; otherwise
        all of its `train` as `""`, a log. Each has the features that are named in `columns` or are well-known alternatives,
        under their own names, and beside it how many rows a builder of ours has rejected, by reason.

    Raises:
        ConfigError: If Apache Beam is needed and not installed.
        DataError: If there is no such data set, it cannot be prepared, has no `train`, or a feature that `columns` names is
            no single value; if it is one of ours and was built from other files than those that are there now.
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
    of_use = _of_use(features, columns, source)
    splits = _GIVEN if _GIVEN.keys() <= builder.info.splits.keys() else {"train": ""}
    return {ours: (_read_split(builder, theirs, of_use, source), _lost(builder, theirs)) for theirs, ours in splits.items()}


def _builder(name: str) -> tfds.core.DatasetBuilder:
    builder = tfds.builder(name)
    if builder.name in MANUAL_FILES and not isinstance(builder, InteractionBuilder):
        # A name with a version gives what was built before without asking our builder, which compares its files.
        return tfds.builder_cls(builder.name)(config=builder.builder_config.name, version=builder.version)
    return builder


def _of_use(features: Mapping[str, tfds.features.FeatureConnector], columns: Columns, source: str) -> list[str]:
    """Returns the features that may be of use; which of them are, `ingest` decides as for a file."""
    named = [*columns.model_dump().values(), *Columns().model_dump().values()]
    wrong = next((name for name in named if name in features and features[name].shape != ()), None)
    if wrong is not None:
        raise DataError(f"{source}: feature '{wrong}' has shape {features[wrong].shape}. Expected a single value.")
    known = {*named, *(name for names in ALTERNATIVES.values() for name in names)}
    return [name for name in features if name in known and features[name].shape == ()]


def _read_split(builder: tfds.core.DatasetBuilder, split: str, features: Sequence[str], source: str) -> pa.Table:
    parts: dict[str, list[pa.Array]] = {name: [] for name in features}
    try:
        decoders = tfds.decode.PartialDecoding(dict.fromkeys(features, True))
        for batch in tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders).batch(_BATCH_ROWS)):
            for name, arrays in parts.items():
                arrays.append(_as_arrow(batch[name]))
    except pa.ArrowInvalid as error:
        raise DataError(f"{source} holds text that is not UTF-8: {error}.") from error
    except (ValueError, OSError, pa.ArrowException, tf.errors.OpError) as error:
        raise DataError(f"{source} cannot be read, all of its split '{split}': {_first_line(error)}") from error
    if not any(parts.values()):
        raise DataError(f"{source} has no rows in its split '{split}'. Expected at least one.")
    return pa.table({name: pa.chunked_array(arrays) for name, arrays in parts.items()})


def _as_arrow(values: np.ndarray) -> pa.Array:
    """Returns the values of a batch; TensorFlow has bytes in the place of text."""
    return pa.array(values, pa.binary()).cast(pa.string()) if values.dtype.kind == "O" else pa.array(values)


def _lost(builder: tfds.core.DatasetBuilder, split: str) -> Mapping[str, int]:
    """Returns the lines that a builder of ours could not use; other data sets keep no account."""
    if not isinstance(builder, InteractionBuilder):
        return {}
    rejected: Mapping[str, int] = builder.info.metadata.get(ROWS, {}).get(split, {}).get("rejected", {})
    return rejected


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
