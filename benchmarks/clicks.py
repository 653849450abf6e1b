"""Synthetic clicks of a given size: what an engine's time depends on is how many there are, not what they say."""

from __future__ import annotations

import numpy as np

from tfadt.data.interactions import InteractionData, Interactions, Vocabulary

ADRESSA = (212_231, 6_596, 419_491)
YELP = (45_548, 57_396, 1_672_520)
AMAZON_BOOK = (80_464, 98_663, 2_714_021)


def clicks(users: int, items: int, rows: int, seed: int = 0) -> InteractionData:
    """Returns a training split of `rows` distinct pairs: users uniform, items by a power law."""
    rng = np.random.default_rng(seed)
    popularity = np.arange(1, items + 1) ** -0.8
    ends = np.cumsum(popularity / popularity.sum())
    keys = np.zeros(0, np.int64)
    while len(keys) < rows:
        item = np.minimum(np.searchsorted(ends, rng.random(rows * 2)), items - 1)
        keys = np.unique(np.concatenate([keys, rng.integers(0, users, rows * 2) * items + item]))
    keys = rng.permutation(keys)[:rows]
    train = Interactions(keys // items, keys % items)
    held_out = train.take(np.arange(10))
    ids = Vocabulary(np.arange(users)), Vocabulary(np.arange(items))
    return InteractionData(train, held_out, held_out, *ids)
