"""Statistics of a data set: what `validate_data` checks and what a later run is compared with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from tfadt.data.interactions import InteractionData, Vocabulary

DUPLICATE = "duplicate pair"
_SPLIT_RULES = ("train: ", "valid: ", "test: ")


@dataclass(frozen=True)
class Statistics:
    """What a data set is like.

    Attributes:
        user_ids, item_ids: `integer` or `text`.
        id_ranges: Smallest and largest id, or shortest and longest text, of `users` and `items`.
        feedback: The rule that tells false positives, or `none`.
        feedback_range: Smallest and largest value of the rule's column; None for the rule `none`.
        users, items, train, valid, test: Counts.
        duplicate_share: Share of the rows read that repeat a (user, item) pair.
        unreadable_share: Share of the rows read that were rejected for what stands in them.
        false_positive_share: In training; None without feedback.
        largest_user_share, largest_item_share: Share of the training interactions that the most active user, or the most
            popular item, has.
        activity: Share of the users with 1, 2-3, 4-7, ... training interactions.
        item_counts: Training interactions by item id; not in `as_dict`.
        simulated: Whether they are simulated clicks.
    """

    user_ids: str
    item_ids: str
    id_ranges: dict[str, list[int]]
    feedback: str
    feedback_range: list[float] | None
    users: int
    items: int
    train: int
    valid: int
    test: int
    duplicate_share: float
    unreadable_share: float
    false_positive_share: float | None
    largest_user_share: float
    largest_item_share: float
    activity: list[float]
    item_counts: pd.Series
    simulated: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Returns all but the item counts, JSON-ready."""
        values = asdict(self)
        del values["item_counts"]
        return values


def statistics(data: InteractionData) -> Statistics:
    """Computes the statistics of what `ingest` returned."""
    rows = data.manifest["rows"]
    rejected = rows["rejected"]
    unreadable = sum(n for why, n in rejected.items() if why != DUPLICATE and not why.startswith(_SPLIT_RULES))
    per_user = np.bincount(data.train.user, minlength=data.num_users)
    per_item = np.bincount(data.train.item, minlength=data.num_items)
    rule = data.manifest["feedback"]["rule"]
    ranges = [source["ranges"][rule] for source in rows["sources"] if rule in source.get("ranges", {})]
    flags = data.train.false_positive
    return Statistics(
        user_ids=_kind(data.users),
        item_ids=_kind(data.items),
        id_ranges={"users": _range(data.users), "items": _range(data.items)},
        feedback=rule,
        feedback_range=[min(low for low, _ in ranges), max(high for _, high in ranges)] if ranges else None,
        users=data.num_users,
        items=data.num_items,
        train=len(data.train),
        valid=len(data.valid),
        test=len(data.test),
        duplicate_share=rejected.get(DUPLICATE, 0) / rows["in"],
        unreadable_share=unreadable / rows["in"],
        false_positive_share=None if flags is None else float(flags.mean()),
        largest_user_share=float(per_user.max() / len(data.train)),
        largest_item_share=float(per_item.max() / len(data.train)),
        activity=(np.bincount(np.log2(per_user).astype(int)) / data.num_users).tolist(),
        item_counts=pd.Series(per_item, index=pd.Index(data.items.ids, name="id"), name="count"),
        simulated=data.manifest.get("source", {}).get("simulated", False),
    )


def divergence(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the Jensen-Shannon divergence of two distributions in bits: 0 if equal, 1 if nothing is in both.

    Args:
        first: float `[n]`, counts or shares of n classes, not all zero.
        second: The same of the same classes.
    """
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2

    def to_middle(of: np.ndarray) -> float:
        some = of > 0
        return float((of[some] * np.log2(of[some] / middle[some])).sum())

    return max(0.0, (to_middle(p) + to_middle(q)) / 2)


def _kind(vocabulary: Vocabulary) -> str:
    return "integer" if vocabulary.ids.dtype.kind == "i" else "text"


def _range(vocabulary: Vocabulary) -> list[int]:
    values = vocabulary.ids if _kind(vocabulary) == "integer" else pd.Series(vocabulary.ids).str.len()
    return [int(values.min()), int(values.max())]
