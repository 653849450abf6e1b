"""Splits of one log into training, validation and test; seeded, vectorised."""

from __future__ import annotations

import numpy as np

from tfadt.config import Split

TRAIN, VALID, TEST = 0, 1, 2
NAMES = ("train", "valid", "test")


def split_rows(user: np.ndarray, time: np.ndarray | None, config: Split) -> np.ndarray:
    """Returns the split of each row.

    Args:
        user: int64 `[n]` user codes.
        time: float64 `[n]`, needed by `time` and `leave_last_out`; rows of equal time go by their order.
        config: Method, shares and seed.

    Returns:
        int8 `[n]` of `TRAIN`, `VALID`, `TEST`. Every user keeps at least one training row under `random` and
        `leave_last_out`.
    """
    if config.method == "time":
        return _by_time(np.asarray(time), config)
    if config.method == "leave_last_out":
        return _leave_last_out(user, np.asarray(time))
    return _random(user, config)


def _random(user: np.ndarray, config: Split) -> np.ndarray:
    rng = np.random.default_rng(config.seed)
    place, count = _place_within_user(user, rng.random(len(user)))
    users = len(count)
    # Shares of a few rows are rounded by chance, or users with few interactions would never be tested.
    tests = np.floor(count * config.test + rng.random(users)).astype(np.int64)
    valids = np.floor(count * config.valid + rng.random(users)).astype(np.int64)
    tests = np.minimum(tests, np.maximum(count - 1, 0))
    valids = np.minimum(valids, np.maximum(count - 1 - tests, 0))
    labels = np.full(len(user), TRAIN, np.int8)
    labels[place < (tests + valids)[user]] = VALID
    labels[place < tests[user]] = TEST
    return labels


def _by_time(time: np.ndarray, config: Split) -> np.ndarray:
    n = len(time)
    labels = np.full(n, TRAIN, np.int8)
    order = np.argsort(time, kind="stable")
    labels[order[round(n * (1 - config.test - config.valid)) :]] = VALID
    labels[order[round(n * (1 - config.test)) :]] = TEST
    return labels


def _leave_last_out(user: np.ndarray, time: np.ndarray) -> np.ndarray:
    place, count = _place_within_user(user, -time, last_first=True)
    labels = np.full(len(user), TRAIN, np.int8)
    labels[(place == 1) & (count[user] >= 3)] = VALID
    labels[(place == 0) & (count[user] >= 2)] = TEST
    return labels


def _place_within_user(user: np.ndarray, key: np.ndarray, last_first: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Returns each row's place among its user's rows by ascending key, and the rows of each user."""
    row = np.arange(len(user))
    order = np.lexsort((-row if last_first else row, key, user))
    count = np.bincount(user) if len(user) else np.zeros(0, np.int64)
    starts = np.cumsum(count) - count
    place = np.empty(len(user), np.int64)
    place[order] = row - starts[user[order]]
    return place, count
