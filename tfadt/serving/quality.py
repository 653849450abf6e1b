"""How well an export ranks the clean test, asked as a client asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfadt.config import Config
from tfadt.data.interactions import CSR, InteractionData
from tfadt.errors import DataError
from tfadt.evaluation.metrics import coverage, ranking_metrics
from tfadt.evaluation.protocol import seen_at_test, test_evaluator
from tfadt.serving.loading import load_served
from tfadt.serving.requests import answer, id_bytes

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
    users = test_evaluator(data, config).users
    top = _rank(served.signatures[name], users, data, seen_at_test(data, config) if exclude else None, max(ks))
    rows = np.searchsorted(users, data.test.user).clip(max=len(users) - 1)
    kept = users[rows] == data.test.user
    relevant = CSR.from_pairs(rows[kept], data.test.item[kept], len(users), data.num_items)
    metrics = {name: float(value.mean()) for name, value in ranking_metrics(top, relevant, data.num_items, ks).items()}
    return metrics | {f"coverage@{k}": coverage(top[:, :k], data.num_items) for k in ks}


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
