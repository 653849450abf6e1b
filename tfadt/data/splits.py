"""Splits of one log into training, validation and test; seeded, vectorised."""

from __future__ import annotations

import numpy as np

from tfadt.config.ingest import Split
from tfadt.errors import ConfigError

TRAIN, VALID, TEST = 0, 1, 2


def split_rows(user: np.ndarray, time: np.ndarray | None, config: Split) -> np.ndarray:
    """Returns the split of each row.

    Args:
        user: int64 `[n]` user codes.
        time: float64 `[n]`, needed by `time` and `leave_last_out`; rows of equal time go by their order.
        config: Method, shares and seed.

    Returns:
        int8 `[n]` of `TRAIN`, `VALID`, `TEST`. Every user keeps at least one training row under `random` and
        `leave_last_out`.

    Raises:
        ConfigError: If validation and test leave nothing to training.
    """
    if config.method != "leave_last_out" and config.valid + config.test >= 1:
        raise ConfigError(
            f"ingest.split.valid + ingest.split.test must be below 1. Received: {config.valid} + {config.test}."
        )
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


def needs_time(config: Split) -> bool:
    """Returns whether the split goes by time."""
    return config.method != "random"


def _by_time(time: np.ndarray, config: Split) -> np.ndarray:
    n = len(time)
    labels = np.full(n, TRAIN, np.int8)
    order = np.argsort(time, kind="stable")
    labels[order[round(n * (1 - config.test - config.valid)) :]] = VALID
    labels[order[round(n * (1 - config.test)) :]] = TEST
    return labels


def _leave_last_out(user: np.ndarray, time: np.ndarray) -> np.ndarray:
    place, count = _place_within_user(user, time)
    from_end = count[user] - 1 - place
    labels = np.full(len(user), TRAIN, np.int8)
    labels[(from_end == 1) & (count[user] >= 3)] = VALID
    labels[(from_end == 0) & (count[user] >= 2)] = TEST
    return labels


def _place_within_user(user: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each row's place among its user's rows by ascending key (ties by row), and the rows of each user."""
    order = np.lexsort((key, user))
    count = np.bincount(user)
    starts = np.cumsum(count) - count
    place = np.empty(len(user), np.int64)
    place[order] = np.arange(len(user)) - starts[user[order]]
    return place, count
