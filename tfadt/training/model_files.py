"""Reads model files, with one clear sentence for what cannot be read."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.account import escaped
from tfadt.data.interactions import Vocabulary
from tfadt.errors import DataError, first_line
from tfadt.models.recommender import Recommender
from tfadt.registry import MODELS, POLICIES

_PART = 1 << 24  # numbers


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


def fingerprint(model: Recommender) -> bytes:
    """Returns the SHA-256 of a model's class and weights, from which within a run, by its settings, all scores follow."""
    digest = hashlib.sha256(type(model).__qualname__.encode())
    for weight in model.weights:
        values = tf.reshape(weight.value, [-1])
        # A part at a time, for a table may be half of the memory.
        for first in range(0, values.shape[0], _PART):
            digest.update(values[first : first + _PART].numpy().data)
    return digest.digest()


def start_from(model: Recommender, path: Path) -> None:
    """Gives the model the weights of an earlier one: the rows of users and items that both know, and all other weights.

    Users and items are told by their ids, so the earlier model may have been trained on another log of the same kind. Rows
    of new ones stay as they were initialised; those of ones that are gone are dropped.

    Raises:
        DataError: If there is no such model, its vectors are of other lengths, or it knows none of the users or items.
    """
    earlier = load_model(path, compile=False)
    ours, theirs = model.trainable_variables, earlier.trainable_variables
    shapes = [[tuple(v.shape[hasattr(v, "rows_of") :]) for v in variables] for variables in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"{path} has weights of other sizes (users and items apart). Expected: {shapes[0]}. Received: {shapes[1]}."
        )
    rows = {kind: _rows(getattr(earlier, kind), getattr(model, kind)) for kind in ("users", "items")}
    for variable, value in zip(ours, theirs, strict=True):
        if hasattr(variable, "rows_of"):
            found = rows[variable.rows_of]
            value = np.where((found >= 0)[:, None], value.numpy()[found], variable.numpy())
        variable.assign(value)


def _rows(theirs: Vocabulary | None, ours: Vocabulary | None) -> np.ndarray:
    """Returns the code that each of our codes has there, int64; -1 for none."""
    if theirs is None or ours is None:
        raise DataError("Weights are taken over by ids. Expected models that were built by from_interactions.")
    found = theirs.encode(ours.ids)
    if not (found >= 0).any():
        example = " and ".join(escaped(str(ids[0])) for ids in (theirs.ids, ours.ids))
        raise DataError(
            f"The earlier model knows none of the {ours.name}s: its weights are no start. Expected one of an earlier log of "
            f"the same kind. Received, for example: {example}."
        )
    return found
