"""Reads model files, with one clear sentence for what cannot be read."""

from __future__ import annotations

import contextlib
import importlib
import zipfile
from pathlib import Path

import keras

from tfadt.errors import DataError, first_line
from tfadt.models.recommender import Recommender
from tfadt.registry import MODELS, POLICIES


def load_model(path: str | Path, compile: bool = True) -> Recommender:
    """Returns the model in a `.keras` file, in a new process too, where Keras alone would not find its class.

    Raises:
        DataError: If the file is missing or corrupt.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist.")
    # Keras finds only classes that were imported: the model's own, and its policy's. It tells of one that cannot be.
    for registered in {*MODELS.values(), *POLICIES.values()}:
        with contextlib.suppress(ImportError):
            importlib.import_module(registered.partition(":")[0])
    try:
        model: Recommender = keras.saving.load_model(path, compile=compile)
    except (ValueError, OSError, KeyError, TypeError, EOFError, zipfile.BadZipFile, RuntimeError, AttributeError) as error:
        raise DataError(f"{path} cannot be loaded: {first_line(error)}") from error
    return model


def start_from(model: Recommender, path: Path) -> None:
    """Gives the model the weights of an earlier one.

    Raises:
        DataError: If there is no such model or its sizes differ.
    """
    earlier = load_model(path, compile=False)
    shapes = [[tuple(v.shape) for v in m.trainable_variables] for m in (model, earlier)]
    if shapes[0] != shapes[1]:
        raise DataError(f"{path} has weights of other sizes. Expected: {shapes[0]}. Received: {shapes[1]}.")
    for variable, value in zip(model.trainable_variables, earlier.trainable_variables, strict=True):
        variable.assign(value)
