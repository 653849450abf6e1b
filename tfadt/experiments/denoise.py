"""Which training interactions are taken for noise: by the model's loss, by its policy, and by the noise model."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import stats

from tfadt.config import ADTConfig
from tfadt.data.interactions import InteractionData, Interactions
from tfadt.denoising.base import DenoisingPolicy
from tfadt.denoising.noise_model import NoiseModel
from tfadt.errors import DataError
from tfadt.losses.objectives import binary_crossentropy
from tfadt.models.noise_ranked import NoiseRanked
from tfadt.models.recommender import Recommender
from tfadt.training.recipe import settled

_SIGNIFICANT = 0.05
_BLOCK_USERS = 4096


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
        One row a training interaction, in the order of the training split: `user_id`, `item_id`, `loss` (cross-entropy;
        of a model of the softmax `-log p` among all items),
        `score` (share of the training positives with a smaller loss, in [0, 1); a rank, not a probability), `dropped`
        (whether the policy, at the drop rate of the selected step, drops an interaction of this rank), `weight` (what the
        policy weighs it by, where that is known before training), `known_feedback` (`liked`, `disliked` or empty),
        `false_positive_probability` (the noise model's p, calibrated, where enough is known to fit it) and, where feedback
        is known, `false_positive`.
    """
    train = data.train
    model = model.inner if isinstance(model, NoiseRanked) else model
    loss = _losses(model, train)
    score = np.searchsorted(np.sort(loss), loss, side="left") / len(loss)
    adt = settled(adt, model, model.seen)
    batch_size = adt.user_batch_size if model.user_batches else adt.batch_size
    sampler = model.negative_sampler(data, adt.num_negatives, shared=adt.negatives == "shared" and model.shared_negatives)
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
    if policy.knows_weights:
        columns["weight"] = policy.interaction_weights(train)
    known = np.full(len(train), "", object)
    for flags, what in ((train.known_positive, "liked"), (train.known_negative, "disliked")):
        if flags is not None:
            known[flags] = what
    columns["known_feedback"] = known
    with suppress(DataError):  # too little is known
        noise = NoiseModel.fit(train, data.num_users, data.num_items)
        columns["false_positive_probability"] = noise.probabilities(train)
    if train.false_positive is not None:
        columns["false_positive"] = train.false_positive
    return pd.DataFrame(columns)


def distrust(scores: pd.DataFrame) -> np.ndarray:
    """Returns how little each interaction of `noise_scores` is trusted, float64 `[n]`, larger for less.

    Where the policy knows before training what it weighs, that is its weight; else it is its rank by loss, which T-CE drops
    by, R-CE weighs by, and plain training leaves to be looked at.
    """
    if "weight" in scores and scores["weight"].nunique() > 1:
        return -scores["weight"].to_numpy(np.float64)
    return scores["score"].to_numpy(np.float64)


def _losses(model: Recommender, rows: Interactions) -> np.ndarray:
    logits = model.score_rows(rows.user, rows.item)
    if not model.listwise:
        cross_entropy: np.ndarray = binary_crossentropy(np.ones_like(logits), logits).numpy()
        return cross_entropy
    users, owner = np.unique(rows.user, return_inverse=True)
    blocks = np.array_split(users, -(-len(users) // _BLOCK_USERS))
    totals = [tf.reduce_logsumexp(model.score_users(tf.constant(block, tf.int64)), axis=1).numpy() for block in blocks]
    return np.maximum(np.concatenate(totals)[owner] - logits, 0.0)


def finds_noise(scores: pd.DataFrame) -> bool:
    """Returns whether the dropped interactions hold more false positives than as many drawn by chance would (p < 0.05)."""
    dropped, false = scores["dropped"], scores["false_positive"].astype(bool)
    found = int((dropped & false).sum())
    return bool(stats.hypergeom.sf(found - 1, len(scores), int(false.sum()), int(dropped.sum())) < _SIGNIFICANT)
