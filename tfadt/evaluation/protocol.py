"""How models are ranked: what is left out of a ranking, at which cut-offs, and which users count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfadt.config import Config
from tfadt.data.interactions import CSR, InteractionData, Interactions
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.evaluation.rules import validation_rows


def seen_at_test(data: InteractionData, config: Config) -> CSR:
    """Returns the items that the test ranking leaves out."""
    return data.history("train", "valid") if config.evaluate.mask == "train_valid" else data.history()


def at_cut_offs(config: Config, ks: Sequence[int]) -> Config:
    """Returns the configuration with other cut-offs of the test's metrics."""
    return config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"k": tuple(ks)})})


def test_evaluator(data: InteractionData, config: Config) -> RankingEvaluator:
    """Returns the evaluator of the test split."""
    return group_evaluator(data, config, np.ones(data.num_users, bool))


def group_evaluator(data: InteractionData, config: Config, users: np.ndarray) -> RankingEvaluator:
    """Returns the evaluator of the test split for some users, bool `[num_users]`.

    Raises:
        DataError: If the test has none of them.
    """
    disliked = None if why_no_disliked(data) else data.test_disliked
    return RankingEvaluator(
        data.test.take(users[data.test.user]),
        seen_at_test(data, config),
        config.evaluate.k,
        np.bincount(data.train.user, minlength=data.num_users),
        drop_empty=config.evaluate.drop_empty,
        disliked=None if disliked is None else disliked.take(users[disliked.user]),
        clicks=np.bincount(data.train.item, minlength=data.num_items),
    )


def why_no_disliked(data: InteractionData) -> str | None:
    """Returns why false_share and anti_precision cannot be measured; None where they can."""
    if data.train.false_positive is None:
        return "there is no feedback, so nobody knows what is disliked"
    if data.test_disliked is None:
        return "no disliked interactions of the test were kept apart from it (is ingest.clean_test off?)"
    if not len(data.test_disliked):
        return "no interaction of the test is disliked"
    return None


def valid_evaluator(data: InteractionData, config: Config, ks: Sequence[int] | None = None) -> RankingEvaluator:
    """Returns the evaluator of what `selecting_rows` gives; training items are left out.

    Args:
        data: The data set.
        config: The settings.
        ks: Cut-offs; default the one that selects.
    """
    return RankingEvaluator(selecting_rows(data, config), data.history(), ks or (config.evaluate.selection_k,))


def selecting_rows(data: InteractionData, config: Config) -> Interactions:
    """Returns the validation interactions that select: those of the rule `adt.selection`, of a sample of users."""
    return of_sampled_users(validation_rows(config.adt.selection, data), config)


def of_sampled_users(rows: Interactions, config: Config) -> Interactions:
    """Returns the validation interactions of at most `evaluate.valid_users` users, drawn by `adt.seed`."""
    users, most = np.unique(rows.user), config.evaluate.most_valid_users
    if most is None or len(users) <= most:
        return rows
    return rows.take(np.isin(rows.user, np.random.default_rng(config.adt.seed).choice(users, most, replace=False)))
