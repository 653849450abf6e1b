"""How models are ranked: what is left out of a ranking, at which cut-offs, and which users count."""

from __future__ import annotations

import numpy as np

from tfadt.config import Config
from tfadt.data.interactions import CSR, InteractionData
from tfadt.evaluation.ranking import RankingEvaluator


def seen_at_test(data: InteractionData, config: Config) -> CSR:
    """Returns the items that the test ranking leaves out."""
    return data.history("train", "valid") if config.evaluate.mask == "train_valid" else data.history()


def test_evaluator(data: InteractionData, config: Config) -> RankingEvaluator:
    """Returns the evaluator of the test split."""
    activity = np.bincount(data.train.user, minlength=data.num_users)
    return RankingEvaluator(
        data.test, seen_at_test(data, config), config.evaluate.k, activity, drop_empty=config.evaluate.drop_empty
    )


def valid_evaluator(data: InteractionData, config: Config) -> RankingEvaluator:
    """Returns the evaluator of the validation split, at the cut-off that selects; training items are left out."""
    return RankingEvaluator(data.valid, data.history(), (config.evaluate.selection_k,))
