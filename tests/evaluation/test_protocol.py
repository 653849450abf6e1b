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


def test_the_test_may_be_on_a_sample_that_groups_share(data):
    settings = config(test_users=40)
    users = protocol.test_evaluator(data, settings).users
    assert len(users) == 40
    assert (users % 3 == 0).all()
    odd = np.arange(USERS) % 2 == 1
    np.testing.assert_array_equal(protocol.group_evaluator(data, settings, odd).users, users[users % 2 == 1])
    assert len(protocol.test_evaluator(data, config(test_users=USERS)).users) == USERS // 3


@pytest.mark.parametrize(
    ("rows", "items", "pairs_a_row", "users"),
    [
        (50_000_000, 57_000, 30, 2_631),  # 10 million clicks with 4 negatives each: .1 * 5e7 * 30 / 57,000
        (9_000_000, 57_000, 30, 2_000),
        (9_000_000, 1_000, 30, 27_000),
        (1, 57_000, None, None),
    ],
)
def test_a_validation_scores_a_tenth_of_what_could_be_ranked_meanwhile(rows, items, pairs_a_row, users):
    assert protocol.affordable_users(rows, items, pairs_a_row) == users


@pytest.mark.parametrize(
    ("given", "affordable", "count"),
    [("auto", 4_000, 4_000), ("auto", 27_000, 10_000), ("all", 4_000, USERS), (50, 4_000, 50)],
)
def test_only_auto_goes_by_what_a_validation_may_cost(data, given, affordable, count):
    assert len(valid_evaluator(data, config(valid_users=given), affordable=affordable).users) == count


def test_what_is_affordable_does_not_thin_out_a_small_validation(data):
    small = InteractionData(data.train, data.valid.take(data.valid.user < 10_000), data.test, data.users, data.items)
    assert len(valid_evaluator(small, config(), affordable=2_000).users) == 10_000
