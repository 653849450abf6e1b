"""Simulated clicks, for a first run without data: see docs/simulated.md for the model and its parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfadt.config.ingest import Simulated

# Satisfaction from which on a click is liked: the bound between ratings 2 and 3, and 10 seconds of dwell time.
LIKED = 1.1


def simulate(config: Simulated) -> pd.DataFrame:
    """Simulates users who are shown items, click some of them and regret some of their clicks.

    Items are shown by popularity; among what is shown, satisfaction as the user expects it decides the click, blurred
    by position, by how catchy the item looks and by chance (`noise`). The feedback that follows comes from true
    satisfaction only, so a click that position or a catchy title brought about tends to be a false positive.

    Args:
        config: Sizes, noise, kind of feedback and seed; equal settings give equal tables.

    Returns:
        user_id, item_id (int64), rating (int64, 1 to 5) or dwell_time (float64, seconds), timestamp (int64, seconds);
        about `config.interactions` rows in order of time, each pair once.
    """
    rng = np.random.default_rng(config.seed)
    users, items, dim = config.users, config.items, config.dim
    user_taste = rng.normal(size=(users, dim)) / np.sqrt(dim)
    item_taste = rng.normal(size=(items, dim))
    quality = rng.normal(size=items)
    catchy = rng.normal(size=items)
    # Good and catchy items become popular, and popular items are shown more.
    popularity = np.exp(0.6 * rng.normal(size=items) + 0.4 * quality + 0.4 * catchy)
    activity = rng.lognormal(sigma=0.7, size=users)

    shown_pairs = 6 * config.interactions
    user = rng.choice(users, shown_pairs, p=activity / activity.sum())
    item = rng.choice(items, shown_pairs, p=popularity / popularity.sum())
    _, first = np.unique(user * items + item, return_index=True)
    user, item = user[first], item[first]

    affinity = np.einsum("nd,nd->n", user_taste[user], item_taste[item])
    satisfaction = 1.5 * affinity + 0.5 * quality[item]
    position = rng.integers(1, 21, len(user))
    push = catchy[item] - np.log2(position) / 2 + rng.logistic(size=len(user))
    clicked = np.argsort(-(satisfaction + config.noise * push), kind="stable")[: config.interactions]
    user, item, satisfaction = user[clicked], item[clicked], satisfaction[clicked]

    start = rng.integers(0, 60 * 86_400, users)
    timestamp = 1_600_000_000 + start[user] + rng.integers(0, 30 * 86_400, len(user))
    mood = satisfaction + 0.3 * rng.normal(size=len(user))
    if config.feedback == "rating":
        feedback = np.digitize(mood, (0.4, LIKED, 1.9, 2.8)) + 1
    else:
        feedback = np.floor(100 * np.minimum(10 * np.exp(0.8 * (mood - LIKED)), 3600)) / 100
    frame = pd.DataFrame({"user_id": user, "item_id": item, config.feedback: feedback, "timestamp": timestamp})
    return frame.sort_values("timestamp", kind="stable", ignore_index=True)
