"""Which training interactions a model takes for noise: the loss of each, its rank, and whether its policy drops it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from tfadt.config import ADTConfig
from tfadt.data.interactions import InteractionData
from tfadt.denoising.base import DenoisingPolicy
from tfadt.losses.objectives import binary_crossentropy
from tfadt.models.recommender import Recommender

_SIGNIFICANT = 0.05


def noise_scores(
    model: Recommender, data: InteractionData, adt: ADTConfig, policy: DenoisingPolicy, step: int | None
) -> pd.DataFrame:
    """Scores every training interaction.

    Args:
        model: A trained model.
        data: The data set it was trained on.
        adt: The settings it was trained with.
        policy: The policy of its stage `adt`. The model may be compiled for a later stage, which drops none.
        step: The step of that stage whose weights were selected; None without that stage, which then dropped nothing.

    Returns:
        One row a training interaction, in the order of the training split: `user_id`, `item_id`, `loss` (cross-entropy),
        `score` (share of the training positives with a smaller loss, in [0, 1); a rank, not a probability), `dropped`
        (whether the policy, at the drop rate of the selected step, drops an interaction of this rank) and, where feedback
        is known, `false_positive`.
    """
    train = data.train
    logits = model.predict((train.user, train.item), batch_size=65_536, verbose=0)
    loss = binary_crossentropy(np.ones_like(logits), logits).numpy()
    score = np.searchsorted(np.sort(loss), loss, side="left") / len(loss)
    batch_size = adt.user_batch_size if model.user_batches else adt.batch_size
    sampler = model.negative_sampler(data, adt.num_negatives, shared=adt.negatives == "shared")
    source = model.batch_source(train, sampler, batch_size, adt.num_negatives)
    policy.prepare(source.steps_per_epoch * adt.epochs, source.positive_share)
    share = 0.0 if step is None else policy.dropped_share(source.positive_share, step - 1)
    columns = {
        "user_id": data.users.decode(train.user),
        "item_id": data.items.decode(train.item),
        "loss": loss,
        "score": score,
        "dropped": score >= 1.0 - share,
    }
    if train.false_positive is not None:
        columns["false_positive"] = train.false_positive
    return pd.DataFrame(columns)


def finds_noise(scores: pd.DataFrame) -> bool:
    """Returns whether the dropped interactions hold more false positives than as many drawn by chance would (p < 0.05)."""
    dropped, false = scores["dropped"], scores["false_positive"].astype(bool)
    found = int((dropped & false).sum())
    return bool(stats.hypergeom.sf(found - 1, len(scores), int(false.sum()), int(dropped.sum())) < _SIGNIFICANT)
