"""Recall and false share in expectation, by hand, and the interval of a gain."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfadt.data.interactions import CSR, Interactions
from tfadt.evaluation.expected import Expected, ExpectedEvaluator

NOTHING = CSR(np.zeros(4, np.int64), np.zeros(0, np.int64))


class Fixed:
    """Scores three users' five items by a table."""

    num_users, num_items = 3, 5

    def __init__(self, *rows: list[float]):
        self.table = tf.constant(rows, tf.float32)

    def score_users(self, users: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.table, users)


def test_the_numbers_of_three_users() -> None:
    rows = Interactions(np.array([2, 0, 0, 0, 1]), np.array([4, 2, 0, 1, 3]))
    evaluator = ExpectedEvaluator(rows, np.array([1.0, 1.0, 0.2, 0.6, 0.0]), NOTHING, 2)
    found = evaluator(Fixed([5, 1, 4, 0, 0], [5, 4, 3, 2, 1], [1, 2, 3, 4, 5]))
    # User 0 is shown 0 and 2: .8 + 0 of .8 + .4 + 0. User 1 misses its item. User 2 has nothing to like.
    np.testing.assert_allclose(found.recall, [0.8 / 1.2, 0])
    np.testing.assert_allclose(found.disliked, [1.2, 0, 1])
    assert found.hits.tolist() == [2, 0, 1]
    assert found.mean_recall == pytest.approx(1 / 3)
    assert found.false_share == pytest.approx(2.2 / 3)


def test_where_all_is_disliked_there_is_nothing_to_recall() -> None:
    evaluator = ExpectedEvaluator(Interactions(np.array([0]), np.array([0])), np.array([1.0]), NOTHING, 1)
    found = evaluator(Fixed([5, 4, 3, 2, 1], [0] * 5, [0] * 5))
    assert (found.mean_recall, found.false_share) == (0, 1)


def test_excluded_items_are_not_shown_and_no_hit_is_no_share() -> None:
    seen = CSR(np.array([0, 1, 1, 1]), np.array([0]))
    evaluator = ExpectedEvaluator(Interactions(np.array([0]), np.array([1])), np.array([0.5]), seen, 1)
    assert evaluator(Fixed([5, 4, 3, 2, 1], [0] * 5, [0] * 5)).recall.tolist() == [1]
    missed = evaluator(Fixed([5, 1, 3, 2, 1], [0] * 5, [0] * 5))
    assert (missed.recall.tolist(), missed.false_share) == ([0], 0)


def test_the_interval_of_a_gain_holds_it_and_shrinks_with_the_users() -> None:
    widths = []
    for users in (50, 5000):
        rng = np.random.default_rng(1)
        worse = Expected(np.ones(users), rng.random(users), np.full(users, 2))
        better = Expected(np.ones(users), worse.disliked * 0.5, np.full(users, 2))
        low, high = better.gain_interval(worse)
        # Half of a mean of .5 over 2 hits: .125.
        assert low < worse.false_share - better.false_share < high
        widths.append(high - low)
        assert better.gain_interval(better) == (0, 0)
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.3)
