"""The logit of every training interaction: what `tfadt denoise` and a served `denoise` tell noise by."""

from __future__ import annotations

import numpy as np

from tfadt.data.interactions import Interactions
from tfadt.models.recommender import Recommender

_BLOCK = 65_536


def positive_logits(model: Recommender, rows: Interactions) -> np.ndarray:
    """Returns the logit of each interaction, float32 `[n]`."""
    logits = [np.empty(0, np.float32)]
    for first in range(0, len(rows), _BLOCK):
        block = slice(first, first + _BLOCK)
        logits.append(model.score_pairs(rows.user[block], rows.item[block]).numpy())
    return np.concatenate(logits)
