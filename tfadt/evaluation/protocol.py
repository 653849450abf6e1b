"""How models are ranked: what is left out of a ranking, at which cut-offs, and which users count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfadt.config import Config
from tfadt.data.interactions import CSR, InteractionData, Interactions
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.evaluation.rules import selection_k, validation_rows

_VALIDATION_SHARE = 0.1
_LEAST_USERS = 2_000


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
    """Returns the evaluator of the test split for some users, bool `[num_users]`: for those that the test ranks.

    Raises:
        DataError: If the test has none of them.
    """
    disliked = None if why_no_disliked(data) else data.test_disliked
    users = users & _test_users(data.test, disliked, data.num_users, config)
    return RankingEvaluator(
        data.test.take(users[data.test.user]),
        seen_at_test(data, config),
        config.evaluate.k,
        np.bincount(data.train.user, minlength=data.num_users),
        drop_empty=config.evaluate.drop_empty,
        disliked=None if disliked is None else disliked.take(users[disliked.user]),
        clicks=np.bincount(data.train.item, minlength=data.num_items),
    )


def _test_users(test: Interactions, disliked: Interactions | None, num_users: int, config: Config) -> np.ndarray:
    """Returns which users the test ranks, bool `[num_users]`: `evaluate.test_users` of those of whom it knows something."""
    known = np.unique(test.user if disliked is None else np.concatenate([test.user, disliked.user]))
    count = config.evaluate.test_users
    ranked = np.zeros(num_users, bool)
    ranked[known if count == "all" or count >= len(known) else _drawn(known, count, config.adt.seed)] = True
    return ranked


def why_no_disliked(data: InteractionData) -> str | None:
    """Returns why false_share and anti_precision cannot be measured; None where they can."""
    if data.train.false_positive is None:
        return "there is no feedback, so nobody knows what is disliked"
    if data.test_disliked is None:
        return "no disliked interactions of the test were kept apart from it (is ingest.clean_test off?)"
    if not len(data.test_disliked):
        return "no interaction of the test is disliked"
    return None


def valid_evaluator(
    data: InteractionData, config: Config, ks: Sequence[int] | None = None, affordable: int | None = None
) -> RankingEvaluator:
    """Returns the evaluator of what `selecting_rows` gives; training items are left out.

    Args:
        data: The data set.
        config: The settings.
        ks: Cut-offs; default the one that selects.
        affordable: As in `of_sampled_users`.
    """
    rows = selecting_rows(data, config, affordable)
    return RankingEvaluator(rows, data.history(), ks or (selection_k(config, data),))


def selecting_rows(data: InteractionData, config: Config, affordable: int | None = None) -> Interactions:
    """Returns the validation interactions that select: those of the rule `adt.selection`, of a sample of users."""
    return of_sampled_users(validation_rows(config.adt.selection, data), config, affordable)


def of_sampled_users(rows: Interactions, config: Config, affordable: int | None = None) -> Interactions:
    """Returns the validation interactions of at most `evaluate.valid_users` users, drawn by `adt.seed`.

    Args:
        rows: The validation interactions.
        config: The settings.
        affordable: How many users `auto` takes where it takes a sample, at most its own number; None for that.
    """
    users = np.unique(rows.user)
    count = config.evaluate.valid_sample(len(users), affordable)
    return rows if count == len(users) else rows.take(np.isin(rows.user, _drawn(users, count, config.adt.seed)))


def affordable_users(trained_rows: int, num_items: int, pairs_a_row: int | None) -> int | None:
    """Returns how many users a validation can rank in a tenth of the time that it takes to train so many rows.

    It goes by counts and by a cost that the model states, never by a clock, so that it is the same on every machine.

    Args:
        trained_rows: Rows, negatives included, that are trained from one validation to the next.
        num_items: Size of the catalogue.
        pairs_a_row: How many pairs a ranking scores in the time in which a row is trained; None where that is so many that
            a validation costs next to nothing.

    Returns:
        None for any number; never less than 2,000, whose recall is uncertain by some .01 (95 %).
    """
    if pairs_a_row is None:
        return None
    return max(_LEAST_USERS, int(_VALIDATION_SHARE * trained_rows * pairs_a_row / num_items))


def _drawn(users: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Returns so many of the users, drawn by a seed."""
    drawn: np.ndarray = np.random.default_rng(seed).choice(users, count, replace=False)
    return drawn
