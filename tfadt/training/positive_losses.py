"""The loss of every training interaction: what denoising training, `tfadt denoise` and a served `denoise` go by."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.losses.objectives import binary_crossentropy
from tfadt.models.recommender import Recommender

_BLOCK = 65_536


def positive_losses(model: Recommender, rows: Interactions) -> np.ndarray:
    """Returns the cross-entropy of each interaction as a positive, float32 `[n]`."""
    losses = [np.empty(0, np.float32)]
    for first in range(0, len(rows), _BLOCK):
        block = slice(first, first + _BLOCK)
        logits = model.score_pairs(rows.user[block], rows.item[block])
        losses.append(binary_crossentropy(tf.ones_like(logits), logits).numpy())
    return np.concatenate(losses)
