"""The one place that imports TensorFlow Recommenders, which refuses to be imported while `tf.keras` is Keras 3.

Its retrieval layers are Keras 2 models and work beside our Keras 3 models, so only the import itself needs `tf.keras` to be
Keras 2. `TF_USE_LEGACY_KERAS` is not set: it would change the user's own code for good.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import tensorflow as tf

from tfadt.errors import ConfigError

_LAYERS = "tensorflow_recommenders.layers.factorized_top_k"


def retrieval_layers() -> ModuleType:
    """Returns the module with the retrieval layers `BruteForce`, `Streaming` and `ScaNN`; `tf.keras` stays what it is."""
    with _legacy_keras():
        return importlib.import_module(_LAYERS)


def scann_layer() -> type:
    """Returns the layer `ScaNN`, an approximate search.

    Raises:
        ConfigError: If the package `scann` is not installed.
    """
    layers = retrieval_layers()
    if not layers._HAVE_SCANN:
        raise ConfigError("The search 'scann' needs the package scann, which is not installed. Expected 'exact' without it.")
    layer: type = layers.ScaNN
    return layer


@contextmanager
def _legacy_keras() -> Iterator[None]:
    """Within this, `tf.keras` is Keras 2 (`tf_keras`)."""
    before = tf.keras
    tf.keras = importlib.import_module("tf_keras")
    try:
        yield
    finally:
        tf.keras = before
