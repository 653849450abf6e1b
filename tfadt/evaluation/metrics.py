"""Ranking metrics of each user, as the method authors compute them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfadt.data.interactions import CSR

METRICS = ("recall", "ndcg", "precision", "mrr", "hit")
"""Names of what `ranking_metrics` gives, before the `@k`."""

LESS_IS_BETTER = ("false_share", "anti_precision")
"""Names of the metrics that count what users regret."""


_BLOCK = 1 << 16  # users at a time: what is made of their rankings on the way is several times as large as these


def hits(top: np.ndarray, relevant: CSR, num_items: int) -> np.ndarray:
    """Returns where a ranked item is relevant.

    Args:
        top: int64 `[U, K]` item codes, best first; -1 where a ranking is shorter.
        relevant: The relevant items of the same U users, in the same order.
        num_items: Size of the catalogue.

    Returns:
        bool `[U, K]`.
    """
    return places(top, relevant, num_items)[1]


def places(top: np.ndarray, relevant: CSR, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns where in `relevant.items` a ranked item is, int64 `[U, K]`, and whether it is there, bool `[U, K]`."""
    rows = np.repeat(np.arange(len(top)), relevant.counts)
    keys = rows * num_items + relevant.items
    wanted = np.arange(len(top))[:, None] * num_items + top
    if len(keys) == 0:
        return np.zeros(top.shape, np.int64), np.zeros(top.shape, bool)
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return found, (keys[found] == wanted) & (top >= 0)


def ranking_metrics(
    top: np.ndarray, relevant: CSR, num_items: int, ks: Sequence[int], grades: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Returns recall, NDCG, precision, MRR and hit rate of each user at each cut-off.

    recall@k = hits / relevant items; ndcg@k has an ideal of min(k, relevant items) hits at the top; precision@k =
    hits / k; mrr@k = 1 / rank of the first hit, 0 without one; hit@k (the hit rate) = 1 if there is a hit. A user with
    nothing relevant has 0 everywhere.

    With grades these are expectations under independent chances, those of recall and NDCG taken above and below the line:
    a hit counts by its grade, and so does an item that could have been one.

    Args:
        top: int64 `[U, K]` item codes, best first, K at least `max(ks)`; -1 where a ranking is shorter.
        relevant: The relevant items of the same U users.
        num_items: Size of the catalogue.
        ks: Cut-offs.
        grades: float64 `[nnz]`, how likely each relevant item is relevant, above 0 and at most 1; default 1.

    Returns:
        `"recall@20"` and so on -> float64 `[U]`.
    """
    blocks = []
    for begin in range(0, max(len(top), 1), _BLOCK):
        part = top[begin : begin + _BLOCK]
        offsets = relevant.offsets[begin : begin + len(part) + 1]
        pairs = slice(offsets[0], offsets[-1])
        lists = CSR(offsets - offsets[0], relevant.items[pairs])
        blocks.append(_of_block(part, lists, num_items, ks, None if grades is None else grades[pairs]))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _of_block(
    top: np.ndarray, relevant: CSR, num_items: int, ks: Sequence[int], grades: np.ndarray | None
) -> dict[str, np.ndarray]:
    where, hit = places(top, relevant, num_items)
    gain = hit.astype(np.float64)
    owner = np.repeat(np.arange(len(top)), relevant.counts)
    place = np.arange(len(owner)) - relevant.offsets[owner]
    grade = np.ones(len(owner))
    if grades is not None:
        gain[hit] = grades[where[hit]]
        grade = grades[np.lexsort((-grades, owner))]  # of each user the best first
    rank = np.arange(1, top.shape[1] + 1)
    whole = np.bincount(owner, grade, len(top))
    none_before = np.cumprod(1 - np.pad(gain, ((0, 0), (1, 0)))[:, :-1], axis=1)
    metrics: dict[str, np.ndarray] = {}
    for k in ks:
        found, first = gain[:, :k].sum(axis=1), place < k
        best = np.bincount(owner[first], grade[first] / np.log2(place[first] + 2), len(top))
        metrics[f"recall@{k}"] = found / np.where(whole > 0, whole, 1.0)
        metrics[f"ndcg@{k}"] = (gain / np.log2(rank + 1))[:, :k].sum(axis=1) / np.where(best > 0, best, 1.0)
        metrics[f"precision@{k}"] = found / k
        metrics[f"mrr@{k}"] = (gain * none_before / rank)[:, :k].sum(axis=1)
        metrics[f"hit@{k}"] = 1 - np.prod(1 - gain[:, :k], axis=1)
    return metrics


def coverage(top: np.ndarray, num_items: int) -> float:
    """Returns the share of the catalogue that appears in at least one ranking `top` (int64 `[U, k]`, -1 ignored)."""
    return len(np.unique(top[top >= 0])) / num_items


def anti_precision(top: np.ndarray, disliked: CSR, num_items: int, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Returns the disliked items among each user's best k, over k (Mena-Maldonado et al., SIGIR'20).

    Args:
        top: int64 `[U, K]` item codes, best first, K at least `max(ks)`; -1 where a ranking is shorter.
        disliked: The items that the same U users are known to dislike.
        num_items: Size of the catalogue.
        ks: Cut-offs.

    Returns:
        `"anti_precision@20"` and so on -> float64 `[U]`.
    """
    bad = hits(top, disliked, num_items)
    return {f"anti_precision@{k}": bad[:, :k].sum(axis=1) / k for k in ks}


def novelty(top: np.ndarray, share: np.ndarray, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Returns the mean self-information of each user's best k in bits: -log2 of the share of users who clicked the item.

    It is 0 for an item that everybody clicked, and one more for an item that half as many did (Zhou et al., PNAS'10).

    Args:
        top: int64 `[U, K]` item codes, best first, K at least `max(ks)`; -1 where a ranking is shorter.
        share: float64 `[num_items]`, the share of users who clicked each item in training; an item without clicks counts as
            one with half a click would.
        ks: Cut-offs.

    Returns:
        `"novelty@20"` and so on -> float64 `[U]`; 0 for an empty ranking.
    """
    listed = top >= 0
    bits = np.where(listed, -np.log2(share)[np.maximum(top, 0)], 0.0)
    return {f"novelty@{k}": bits[:, :k].sum(axis=1) / np.maximum(listed[:, :k].sum(axis=1), 1) for k in ks}
