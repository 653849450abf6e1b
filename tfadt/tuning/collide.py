"""Colliding inference as the last choice of a trial: lambda and |N| by validation, after training, scores computed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfadt.config import Config
from tfadt.data.interactions import InteractionData
from tfadt.evaluation.protocol import selecting_rows
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.evaluation.rules import selection_k
from tfadt.inference.colliding import CollidingScorer
from tfadt.inference.mixtures import choose, mixture_recall
from tfadt.inference.neighbors import neighbor_table, sparse_users
from tfadt.models.recommender import Recommender
from tfadt.tuning.objective import VALIDATION

_LAMBDA = "collide_lambda"
_NEIGHBORS = "collide_neighbors"


def collided_metrics(
    model: Recommender, space: np.ndarray, data: InteractionData, config: Config, evaluator: RankingEvaluator
) -> dict[str, list[float]]:
    """Returns how a trained model ranks validation with the mixture that ranks it best (the paper's eq. 8).

    Applied to the users that an export applies it to: those below the largest of `collide.ratios` that have extra feedback.

    Args:
        model: The trained model.
        space: The users' vectors after warm-up, float32 `[num_users, d]`.
        data: The data set.
        config: The settings; section `collide` has the grid.
        evaluator: Ranks the validation split.

    Returns:
        For Keras's history: the metrics as `val_recall@20` and so on, and what was chosen.
    """
    settings, ratio = config.collide, data.extra_feedback_ratio
    sparse = sparse_users(ratio, max(settings.ratios))
    table = neighbor_table(space, ratio, sparse, max(settings.neighbors), settings.search)
    lambdas = sorted({*settings.lambdas, 1.0})
    k = selection_k(config, data)
    rows = selecting_rows(data, config)
    _, recall = mixture_recall(model, table, rows, data.history(), settings.neighbors, lambdas, k, settings.mix)
    choice = choose(recall, settings.neighbors, lambdas)
    scorer = CollidingScorer(model, table[:, : choice.num_neighbors], choice.lambda_, settings.mix)
    found = {VALIDATION + name: [value] for name, value in evaluator(scorer).metrics.items()}
    return {**found, _LAMBDA: [choice.lambda_], _NEIGHBORS: [float(choice.num_neighbors)]}


def collide_settings(metrics: Mapping[str, float]) -> dict[str, Any]:
    """Returns the settings of what a trial chose; none for a trial without colliding inference."""
    if _LAMBDA not in metrics:
        return {}
    return {"collide.lambdas": [metrics[_LAMBDA]], "collide.neighbors": [int(metrics[_NEIGHBORS])]}
