"""An export asked as a client asks, with TensorFlow alone: neither the model's class nor Keras is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfadt.config import Config
from tfadt.data.interactions import CSR, InteractionData
from tfadt.errors import ConfigError, DataError, first_line
from tfadt.evaluation.protocol import at_cut_offs, seen_at_test, test_evaluator
from tfadt.serving.requests import answer, id_bytes


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


_BATCH = 256


def served_metrics(
    folder: Path | str, data: InteractionData, config: Config, ks: Sequence[int], exclude: bool = False
) -> dict[str, float]:
    """Ranks the test users by an export and returns the metrics of `tfadt evaluate`.

    Args:
        folder: The version, anywhere that TensorFlow reads.
        data: The data set whose test split is ranked.
        config: The settings of its run.
        ks: Cut-offs, at most the export's K.
        exclude: Name the items that the test ranking leaves out (`evaluate.mask`) in each request, so that exports which
            leave out other items, or none, compare on one test; else ask `recommend`, which leaves out its own.

    Raises:
        DataError: If the export cannot be loaded or lacks the signature that is asked.
    """
    name = "recommend_excluding" if exclude else "recommend"
    served = load_served(folder)
    if name not in served.signatures:
        raise DataError(f"{folder} has no signature {name}, which the evaluation asks.")
    evaluator = test_evaluator(data, at_cut_offs(config, ks))
    seen = seen_at_test(data, config) if exclude else None
    return evaluator.measure(_rank(served.signatures[name], evaluator.users, data, seen, max(ks)), data.num_items).metrics


def _rank(signature: Any, users: np.ndarray, data: InteractionData, seen: CSR | None, k: int) -> np.ndarray:
    """Returns item codes int64 `[U, k]`; -1 for no item, or for one that this data set does not have."""
    top = np.full((len(users), k), -1, np.int64)
    user_ids, item_ids = id_bytes(data.users.ids[users]), id_bytes(data.items.ids)
    for first in range(0, len(users), _BATCH):
        rows = slice(first, first + _BATCH)
        request = {"user_id": user_ids[rows]}
        if seen is not None:
            lists = [item_ids[seen.items[seen.offsets[u] : seen.offsets[u + 1]]] for u in users[rows]]
            request["exclude_item_ids"] = np.full((len(lists), max(map(len, lists))), b"", object)
            for line, items in zip(request["exclude_item_ids"], lists, strict=True):
                line[: len(items)] = items
        ranked = answer(signature, request)["item_ids"][:, :k]
        top[rows, : ranked.shape[1]] = data.items.encode([text.decode() for text in ranked.ravel()]).reshape(ranked.shape)
    return top
