"""Small data whose answer is known, and one of each model on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.models.cdae import CDAE
from tfadt.models.ease import EASE
from tfadt.models.gmf import GMF
from tfadt.models.ials import IALS
from tfadt.models.neumf import NeuMF
from tfadt.models.nmtr import NMTR
from tfadt.models.popular import Popular

SMALL = {
    GMF: {"embedding_dim": 8},
    NeuMF: {"embedding_dim": 4},
    CDAE: {"hidden_dim": 16},
    NMTR: {"embedding_dim": 8},
}
"""Each model that trains by steps, with settings small enough for a test."""

SOLVED = {
    Popular: {},
    EASE: {"lambda_": 5.0},
    IALS: {"embedding_dim": 8, "reg": 0.01, "alpha": 0.1},
}
"""Each model that is solved for."""


def checkerboard(users: int = 20, items: int = 16, feedback: bool = True) -> InteractionData:
    """Even users like even items, odd users odd ones; each has seen all but two of its colour, which are the test.

    Every second interaction of training is known to be liked.
    """
    user, item = (grid.ravel() for grid in np.meshgrid(np.arange(users), np.arange(items), indexing="ij"))
    liked = (user + item) % 2 == 0
    held_out = liked & ((item // 2 - user // 2) % (items // 2) < 2)

    def part(rows: np.ndarray) -> Interactions:
        flags = (user[rows] + item[rows]) % 3 == 0 if feedback else None
        return Interactions(user[rows], item[rows], flags)

    train, test = part(liked & ~held_out), part(held_out)
    known = Interactions(train.user[::2], train.item[::2])
    data = InteractionData(
        train,
        test,
        test,
        Vocabulary(np.arange(users) + 100, "user_id"),
        Vocabulary(np.array([f"i{n:02d}" for n in range(items)], object), "item_id"),
    )
    return data.with_extra_feedback(known)


def make(cls: type, data: InteractionData, **settings: Any) -> Any:
    """Builds a small model for the data."""
    return cls.from_interactions(data, **{**(SMALL | SOLVED)[cls], **settings})


def random_neighbors(users: int, n: int, seed: int = 0) -> np.ndarray:
    """Neighbours of each user without itself, rows of every length from none to n, padded with -1."""
    rng = np.random.default_rng(seed)
    table = np.full((users, n), -1)
    for user in range(users):
        others = rng.permutation(np.delete(np.arange(users), user))[: min(user % (n + 1), users - 1)]
        table[user, : len(others)] = others
    return table
