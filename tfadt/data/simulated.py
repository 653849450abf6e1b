"""Simulated clicks: users with tastes, exposure by popularity and position, clicks that are partly regretted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfadt.config import Simulated

# How strongly taste, and in proportion to `noise` the caption, the position and chance, pull at a click.
_TASTE, _CAPTION, _POSITION, _CHANCE = 1.6, 3.0, 0.5, 2.0
_POPULARITY_EXPONENT = 0.7
_ACTIVITY_SPREAD = 0.7
_SLATE = 20
_BLOCK_CELLS = 8_000_000


def simulate(config: Simulated) -> pd.DataFrame:
    """Draws a log of clicks with the feedback that followed them.

    Each user has a latent taste and each item latent features; their product is the true affinity. An item is shown by
    its popularity (a Zipf law) at a random position of a list, and clicked for its caption, which has nothing to do with
    its worth, as well as for its affinity. The feedback follows affinity and the item's quality alone, so clicks won by
    caption, position or chance are the regretted ones.

    Args:
        config: Sizes, noise, kind of feedback and seed.

    Returns:
        `user_id` and `item_id` (int64), `timestamp` (float64, seconds) and `rating` (1 to 5) or `dwell_time` (seconds), one
        row a distinct (user, item) pair, ordered by time. About `config.interactions` rows.
    """
    rng = np.random.default_rng(config.seed)
    taste = rng.normal(size=(config.users, config.dim)) / np.sqrt(config.dim)
    features = rng.normal(size=(config.items, config.dim))
    quality = rng.normal(size=config.items)
    caption = rng.normal(size=config.items)
    exposure = -_POPULARITY_EXPONENT * np.log(rng.permutation(config.items) + 1.0)
    clicks = _clicks_per_user(config, rng)

    users, items, satisfaction = [], [], []
    block = max(1, _BLOCK_CELLS // config.items)
    for first in range(0, config.users, block):
        rows = slice(first, first + block)
        liking = taste[rows] @ features.T + 0.5 * quality
        position = np.log2(1.0 + rng.integers(1, _SLATE + 1, size=liking.shape))
        pull = _CAPTION * caption - _POSITION * position + _CHANCE * rng.gumbel(size=liking.shape)
        utility = exposure + _TASTE * liking + config.noise * pull
        order = np.argsort(-utility, axis=1)
        chosen = np.arange(config.items) < clicks[rows, None]
        user, place = np.nonzero(chosen)
        item = order[user, place]
        users.append(user + first)
        items.append(item)
        satisfaction.append(liking[user, item])
    user_id, item_id = np.concatenate(users), np.concatenate(items)
    frame = pd.DataFrame({"user_id": user_id, "item_id": item_id})
    frame["timestamp"] = np.round(rng.uniform(0, 90 * 86_400, len(frame)))
    frame[config.feedback] = _feedback(np.concatenate(satisfaction), config.feedback, rng)
    return frame.sort_values("timestamp", kind="stable", ignore_index=True)


def _clicks_per_user(config: Simulated, rng: np.random.Generator) -> np.ndarray:
    activity = rng.lognormal(sigma=_ACTIVITY_SPREAD, size=config.users)
    expected = activity / activity.sum() * config.interactions
    return np.clip(np.floor(expected + rng.random(config.users)), 1, max(1, config.items // 2)).astype(np.int64)


def _feedback(satisfaction: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Turns liking into a rating or a dwell time; a quarter of average clicks lie below the paper's thresholds."""
    spread = satisfaction.std() or 1.0
    felt = (satisfaction - satisfaction.mean()) / spread + 0.3 * rng.normal(size=len(satisfaction))
    if kind == "rating":
        return np.clip(np.round(3.3 + 1.2 * felt), 1, 5)
    return np.round(10.0 * np.exp(0.75 + 1.1 * felt), 1)
