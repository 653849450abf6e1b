"""Noise put into a log, so that it is known which clicks are false positives."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError

By = Literal["uniform", "popularity"]
_TRIES = 100


def check(share: float, by: str, seed: int) -> None:
    """Raises ConfigError for what `inject` cannot be asked for."""
    if not 0 < share < 1:
        raise ConfigError(f"The share of flipped clicks must lie between 0 and 1. Received: {share}.")
    if by not in get_args(By):
        raise ConfigError(f"Items are drawn 'uniform' or by 'popularity'. Received: '{by}'.")
    if seed < 0:
        raise ConfigError(f"The seed must be at least 0. Received: {seed}.")


def inject(data: InteractionData, share: float, by: By = "uniform", seed: int = 0) -> pd.DataFrame:
    """Returns the liked clicks of a data set as a log in which a share of them goes to an item that the user never clicked.

    Clicks that feedback knows to be disliked are left out before, so that what is true and what is false is known. A click
    keeps its item where a hundred draws found none that its user had not clicked.

    Args:
        data: The data set, all three splits of it.
        share: Probability that a click is flipped, in (0, 1).
        by: How the items are drawn: all alike, or by their number of clicks, as a front page would.
        seed: Seed of both draws.

    Returns:
        `user_id`, `item_id` and `false_positive` (1 for a flipped click), in the order of the splits.

    Raises:
        ConfigError: If an argument is out of its range.
    """
    check(share, by, seed)
    splits = [data.train, data.valid, data.test]
    every = [part if part.false_positive is None else part.take(~part.false_positive) for part in splits]
    user, item = (np.concatenate([getattr(part, name) for part in every]) for name in ("user", "item"))
    beside = [part for part in (*splits, data.test_disliked, data.extra_feedback) if part is not None]
    # Items that the user has met in any way are no noise; nor is an item twice.
    taken = set(np.concatenate([part.user * data.num_items + part.item for part in beside]).tolist())
    rng = np.random.default_rng(seed)
    flipped = np.flatnonzero(rng.random(len(user)) < share)
    counts = np.bincount(item, minlength=data.num_items) if by == "popularity" else np.ones(data.num_items)
    item = item.copy()
    false = np.zeros(len(user), bool)
    for _ in range(_TRIES):
        drawn = rng.choice(data.num_items, size=len(flipped), p=counts / counts.sum())
        left = []
        for row, other in zip(flipped.tolist(), drawn.tolist(), strict=True):
            key = int(user[row]) * data.num_items + other
            if key in taken:
                left.append(row)
                continue
            taken.add(key)
            item[row], false[row] = other, True
        flipped = np.array(left, np.int64)
        if not left:
            break
    return pd.DataFrame(
        {"user_id": data.users.decode(user), "item_id": data.items.decode(item), "false_positive": false.astype(np.int8)}
    )
