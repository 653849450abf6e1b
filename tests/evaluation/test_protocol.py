"""Which users and interactions are ranked, in validation and on the test."""

import numpy as np
import pytest

from tfadt.config.loading import load_config
from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.evaluation import protocol
from tfadt.evaluation.protocol import selecting_rows, valid_evaluator

USERS, ITEMS = 12_000, 5


def pairs(users, items):
    return Interactions(*(grid.ravel() for grid in np.meshgrid(users, items, indexing="ij")))


@pytest.fixture(scope="module")
def data():
    """Every user has item 0 in training and two items in validation, every third one two in the test."""
    everybody = np.arange(USERS)
    ids = Vocabulary(everybody), Vocabulary(np.arange(ITEMS))
    return InteractionData(pairs(everybody, [0]), pairs(everybody, [1, 2]), pairs(everybody[::3], [3, 4]), *ids)


def config(**evaluate):
    return load_config(base={"adt": {"seed": evaluate.pop("seed", 0)}, "evaluate": evaluate})


@pytest.mark.parametrize(("given", "count"), [("auto", 10_000), ("all", USERS), (50, 50), (USERS + 1, USERS)])
def test_validation_is_on_a_sample_of_users_with_all_that_each_has(data, given, count):
    rows = selecting_rows(data, config(valid_users=given))
    users, each = np.unique(rows.user, return_counts=True)
    assert (len(users), set(each)) == (count, {2})
    np.testing.assert_array_equal(valid_evaluator(data, config(valid_users=given)).users, users)


def test_by_default_a_small_validation_is_ranked_whole(data):
    small = InteractionData(data.train, data.valid.take(data.valid.user < 10_000), data.test, data.users, data.items)
    assert len(valid_evaluator(small, config()).users) == 10_000


def test_the_seed_draws_the_users(data):
    first, again, other = (valid_evaluator(data, config(valid_users=50, seed=seed)).users for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert len(np.intersect1d(first, other)) < 10
    assert first.max() > USERS * 0.8
    assert first.min() < USERS * 0.2


def test_the_test_is_on_all_users(data):
    np.testing.assert_array_equal(protocol.test_evaluator(data, config(valid_users=50)).users, np.arange(0, USERS, 3))
