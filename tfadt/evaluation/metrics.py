"""Ranking metrics of each user, as the method authors compute them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfadt.data.interactions import CSR

METRICS = ("recall", "ndcg", "precision", "mrr", "hit")
"""Names of what `ranking_metrics` gives, before the `@k`."""


def hits(top: np.ndarray, relevant: CSR, num_items: int) -> np.ndarray:
    """Returns where a ranked item is relevant.

    Args:
        top: int64 `[U, K]` item codes, best first; -1 where a ranking is shorter.
        relevant: The relevant items of the same U users, in the same order.
        num_items: Size of the catalogue.

    Returns:
        bool `[U, K]`.
    """
    rows = np.repeat(np.arange(len(top)), relevant.counts)
    keys = rows * num_items + relevant.items
    wanted = np.arange(len(top))[:, None] * num_items + top
    if len(keys) == 0:
        return np.zeros(top.shape, bool)
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return (keys[found] == wanted) & (top >= 0)


def ranking_metrics(top: np.ndarray, relevant: CSR, num_items: int, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Returns recall, NDCG, precision, MRR and hit rate of each user at each cut-off.

    recall@k = hits / relevant items; ndcg@k has an ideal of min(k, relevant items) hits at the top; precision@k =
    hits / k; mrr@k = 1 / rank of the first hit, 0 without one; hit@k (the hit rate) = 1 if there is a hit. A user with
    nothing relevant has 0 everywhere.

    Args:
        top: int64 `[U, K]` item codes, best first, K at least `max(ks)`; -1 where a ranking is shorter.
        relevant: The relevant items of the same U users.
        num_items: Size of the catalogue.
        ks: Cut-offs.

    Returns:
        `"recall@20"` and so on -> float64 `[U]`.
    """
    hit = hits(top, relevant, num_items)
    rank = np.arange(1, top.shape[1] + 1)
    gain = hit / np.log2(rank + 1)
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(rank + 1))])
    count = relevant.counts
    first = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, np.iinfo(np.int64).max)
    metrics: dict[str, np.ndarray] = {}
    for k in ks:
        found = hit[:, :k].sum(axis=1)
        best = ideal[np.minimum(k, count)]
        metrics[f"recall@{k}"] = found / np.maximum(count, 1)
        metrics[f"ndcg@{k}"] = gain[:, :k].sum(axis=1) / np.where(best > 0, best, 1.0)
        metrics[f"precision@{k}"] = found / k
        metrics[f"mrr@{k}"] = np.where(first <= k, 1.0 / first, 0.0)
        metrics[f"hit@{k}"] = (found > 0).astype(np.float64)
    return metrics


def coverage(top: np.ndarray, num_items: int) -> float:
    """Returns the share of the catalogue that appears in at least one ranking `top` (int64 `[U, k]`, -1 ignored)."""
    return len(np.unique(top[top >= 0])) / num_items
