"""Loads exports with TensorFlow alone: neither the model's class nor Keras is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfadt.errors import DataError


def load_served(folder: Path) -> Any:
    """Returns a loaded export; `signatures[name](user_id=...)` answers.

    Raises:
        DataError: If it is damaged or of a TensorFlow that this one cannot read.
    """
    try:
        return tf.saved_model.load(str(folder))
    except (tf.errors.OpError, OSError, ValueError, KeyError, AssertionError) as error:
        raise DataError(f"{folder} cannot be loaded: {(str(error).splitlines() or ['unknown reason'])[0]}") from error
