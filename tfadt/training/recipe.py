"""What a recipe leaves to the data: settings that are `auto` follow the training clicks of a user."""

from __future__ import annotations

import numpy as np

from tfadt.config import ADTConfig
from tfadt.data.interactions import CSR
from tfadt.errors import ConfigError
from tfadt.losses.objectives import get_objective
from tfadt.models.recommender import Recommender

MANY_CLICKS = 50
"""Training clicks of a user from which on `adt.objective = "auto"` is cross-entropy against negatives of each row."""

_BY_ROW, _AGAINST_SHARED = 1.0, 0.85
"""Exponents of the clicks. By row the loss is a mean over negatives as well, and less of a penalty weighs as much."""
_SHARED = 32  # shared negatives in place of one by row: about what its time buys


def settled(adt: ADTConfig, model: Recommender | type[Recommender], history: CSR) -> ADTConfig:
    """Returns the settings with those that are `auto` as the data have them.

    Args:
        adt: The settings.
        model: The model or its class.
        history: The training items of each user.
    """
    active = int(np.count_nonzero(history.counts))
    clicks = len(history.items) / max(active, 1)
    adt = outcomes(adt, model)[-1 if clicks >= MANY_CLICKS else 0]
    if adt.l2 == "auto":
        by_row = adt.negatives != "shared" and not get_objective(adt.objective).listwise
        adt = adt.model_copy(update={"l2": clicks ** -(_BY_ROW if by_row else _AGAINST_SHARED) if active else 0.0})
    return adt


def outcomes(adt: ADTConfig, model: Recommender | type[Recommender]) -> tuple[ADTConfig, ...]:
    """Returns the settings with an objective in place of `auto`: first that for few clicks, last that for many.

    It is one where nothing is left to the data. A step has as many positives either way.

    Raises:
        ConfigError: If the negatives of an objective `auto` are set to shared ones.
    """
    if adt.objective != "auto":
        return (adt,)
    if adt.negatives == "shared":
        raise ConfigError(
            "The objective auto draws its negatives by row or shares them as the data have it. Expected "
            f"adt.negatives=uniform or popularity, which hold by row, or another objective. Received: {adt.negatives}."
        )
    by_row = adt.model_copy(update={"objective": "binary_crossentropy"})
    if not model.shared_negatives:
        return (by_row,)
    shared = {
        "objective": "softmax",
        "negatives": "shared",
        "num_negatives": _SHARED * adt.num_negatives,
        "batch_size": max(adt.batch_size // (1 + adt.num_negatives), 1),
    }
    return adt.model_copy(update=shared), by_row
