"""Loads exports with TensorFlow alone: neither the model's class nor Keras is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfadt.errors import ConfigError, DataError, first_line


def load_served(folder: Path | str) -> Any:
    """Returns a loaded export; `signatures[name](user_id=...)` answers.

    Raises:
        DataError: If it is damaged or of a TensorFlow that this one cannot read.
    """
    try:
        return tf.saved_model.load(str(folder))
    except (tf.errors.OpError, OSError, ValueError, KeyError, AssertionError) as error:
        raise DataError(f"{folder} cannot be loaded: {first_line(error)}") from error


def recommend(folder: Path | str, user_id: str, k: int) -> tuple[list[str], list[float], bool]:
    """Asks an export for the best items of a user.

    Args:
        folder: The version.
        user_id: The user.
        k: How many, at most the export's K.

    Returns:
        Item ids, best first, their scores, and whether the user is known; fewer than k where no more are left.

    Raises:
        ConfigError: If `k` is more than the export's K.
        DataError: If the export cannot be loaded or lacks the signature, or nothing is left to recommend.
    """
    served = load_served(folder)
    if "recommend" not in served.signatures:
        raise DataError(f"{folder} has no signature recommend. It has: {', '.join(served.signatures)}.")
    found = served.signatures["recommend"](user_id=tf.constant([user_id]))
    longest = found["item_ids"].shape[1]
    if k > longest:
        raise ConfigError(f"The export ranks {longest} items. Expected k of at most that. Received: {k}.")
    items = [item.decode() for item in found["item_ids"].numpy()[0][:k] if item]
    if not items:
        raise DataError(f"User '{user_id}' has seen every item, so there is nothing to recommend.")
    return items, found["scores"].numpy()[0][: len(items)].tolist(), bool(found["known_user"].numpy()[0])
