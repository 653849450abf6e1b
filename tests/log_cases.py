"""Logs that the tests of ingest write, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfadt.data.interactions import InteractionData

Rows = list[list[str]]


def ratings(users: int = 8, items: int = 6) -> Rows:
    """Every user with every item; ratings 1 to 5."""
    return [[str(u), str(i), str((3 * u + i) % 5 + 1)] for u in range(1, users + 1) for i in range(1, items + 1)]


def pairs(data: InteractionData) -> dict[tuple[object, object], bool | None]:
    """Returns whether each kept pair is a false positive, those apart from test as well."""
    found: dict[tuple[object, object], bool | None] = {}
    for split in (data.train, data.valid, data.test, data.test_disliked):
        if split is not None:
            flags = [None] * len(split) if split.false_positive is None else split.false_positive.tolist()
            flags = [True] * len(split) if split is data.test_disliked else flags
            ids = zip(data.users.decode(split.user).tolist(), data.items.decode(split.item).tolist(), strict=True)
            found |= dict(zip(ids, flags, strict=True))
    return found


def expected(rows: Iterable[Sequence[str]]) -> dict[tuple[object, object], bool]:
    return {(int(user), int(item)): int(rating) < 3 for user, item, rating, *_ in rows}
