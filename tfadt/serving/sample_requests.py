"""Requests as clients send them: for warm-up, for comparison between loaders and for timing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tfadt.data.interactions import InteractionData
from tfadt.serving.contract import SIGNATURES
from tfadt.serving.requests import Tensors, id_bytes

BATCHES = (1, 8, 32)
UNKNOWN = b"unknown"
_SEED = 5
_EXCLUDED = 4
_HISTORY = 20


def sample_requests(names: Sequence[str], data: InteractionData) -> Iterator[tuple[str, Tensors]]:
    """Yields signature and request: for every signature one batch of each size; the larger ones end with an unknown id."""
    random = np.random.default_rng(_SEED)
    history = data.history()
    for name in names:
        for size in BATCHES:
            rows = random.integers(0, len(data.train), size)
            users = data.train.user[rows]
            columns = {
                "user_id": id_bytes(data.users.ids[users]),
                "item_id": id_bytes(data.items.ids[data.train.item[rows]]),
            }
            if size > 1:
                columns["user_id"][-1] = UNKNOWN
            if name == "recommend_excluding":
                columns["exclude_item_ids"] = id_bytes(data.items.ids[random.integers(0, data.num_items, (size, _EXCLUDED))])
            if name == "recommend_from_history":
                columns["item_ids"] = np.full((size, _HISTORY), b"", object)
                for row, user in enumerate(users):
                    items = history.items[history.offsets[user] : history.offsets[user + 1]][:_HISTORY]
                    columns["item_ids"][row, : len(items)] = id_bytes(data.items.ids[items])
            yield name, {key: columns[key] for key in SIGNATURES[name].inputs}
