"""Metrics of given rankings: by hand, and against one user at a time in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfadt.data.interactions import CSR
from tfadt.evaluation.metrics import coverage, hits, ranking_metrics

# Three users, five items. User 0 wants {1, 4} and gets 4 second; user 1 wants {0} and gets it first; user 2 wants
# {1, 2, 3} and has a ranking of one item only, which is none of them.
TOP = np.array([[0, 4, 2], [0, 1, 2], [4, -1, -1]])
RELEVANT = CSR(np.array([0, 2, 3, 6]), np.array([1, 4, 0, 1, 2, 3]))


def test_hits_mark_relevant_items_and_no_padding():
    assert hits(TOP, RELEVANT, 5).tolist() == [[False, True, False], [True, False, False], [False, False, False]]


def test_padding_is_not_taken_for_the_last_item_of_the_user_before():
    relevant = CSR(np.array([0, 1, 1]), np.array([4]))
    assert not hits(np.array([[0], [-1]]), relevant, 5).any()


def test_values_by_hand():
    values = ranking_metrics(TOP, RELEVANT, 5, (1, 3))
    second = 1 / math.log2(3)
    expected = {
        "recall@1": [0, 1, 0],
        "recall@3": [1 / 2, 1, 0],
        "precision@1": [0, 1, 0],
        "precision@3": [1 / 3, 1 / 3, 0],
        # The ideal of user 0 has one hit at k = 1 and two at k = 3.
        "ndcg@1": [0, 1, 0],
        "ndcg@3": [second / (1 + second), 1, 0],
        "mrr@1": [0, 1, 0],
        "mrr@3": [1 / 2, 1, 0],
        "hit@1": [0, 1, 0],
        "hit@3": [1, 1, 0],
    }
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        assert values[name].dtype == np.float64
        assert values[name] == pytest.approx(value, abs=1e-12), name


def test_a_perfect_ranking_shorter_than_the_relevant_items_has_ndcg_one():
    values = ranking_metrics(np.array([[1, 2]]), CSR(np.array([0, 3]), np.array([1, 2, 3])), 5, (2,))
    assert values["ndcg@2"][0] == 1.0
    assert values["recall@2"][0] == pytest.approx(2 / 3)


def test_a_user_with_nothing_relevant_has_zeros():
    values = ranking_metrics(np.array([[0, 1]]), CSR(np.array([0, 0]), np.array([], np.int64)), 5, (2,))
    assert all(value.tolist() == [0.0] for value in values.values())


def test_grades_count_by_as_much_by_hand():
    # One user: items 1 (liked with .5), 2 (.8) and 4 (.2); the ranking shows 1, then 0, then 4.
    relevant, grades = CSR(np.array([0, 3]), np.array([1, 2, 4])), np.array([0.5, 0.8, 0.2])
    values = ranking_metrics(np.array([[1, 0, 4]]), relevant, 5, (3,), grades)
    ideal = 0.8 + 0.5 / math.log2(3) + 0.2 / 2
    expected = {
        "recall@3": 0.7 / 1.5,
        "precision@3": 0.7 / 3,
        "ndcg@3": (0.5 + 0.2 / 2) / ideal,
        "mrr@3": 0.5 + 0.5 * 0.2 / 3,
        "hit@3": 1 - 0.5 * 0.8,
    }
    assert {name: value[0] for name, value in values.items()} == pytest.approx(expected, abs=1e-12)


def test_coverage_counts_each_item_once_and_no_padding():
    assert coverage(TOP[:, :1], 5) == 2 / 5
    assert coverage(TOP, 5) == 4 / 5


@st.composite
def rankings(draw):
    num_items = draw(st.integers(1, 12))
    lists = draw(st.lists(st.sets(st.integers(0, num_items - 1)), min_size=1, max_size=6))
    orders = [draw(st.permutations(range(num_items))) for _ in lists]
    lengths = [draw(st.integers(0, num_items)) for _ in lists]
    return num_items, lists, [order[:length] for order, length in zip(orders, lengths, strict=True)]


@settings(max_examples=150, deadline=None)
@given(rankings(), st.sets(st.integers(1, 12), min_size=1, max_size=3))
def test_equals_one_user_at_a_time(case, ks):
    num_items, lists, orders = case
    top = np.full((len(lists), 12), -1)
    for row, order in enumerate(orders):
        top[row, : len(order)] = order
    offsets = np.cumsum([0, *(len(items) for items in lists)])
    relevant = CSR(offsets, np.array([item for items in lists for item in sorted(items)], np.int64))
    values = ranking_metrics(top, relevant, num_items, sorted(ks))
    for row, (items, order) in enumerate(zip(lists, orders, strict=True)):
        for k in ks:
            ranks = [rank for rank, item in enumerate(order[:k], 1) if item in items]
            gain = sum(1 / math.log2(rank + 1) for rank in ranks)
            ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(items)) + 1))
            expected = {
                "recall": len(ranks) / len(items) if items else 0,
                "precision": len(ranks) / k,
                "ndcg": gain / ideal if ideal else 0,
                "mrr": 1 / ranks[0] if ranks else 0,
                "hit": float(bool(ranks)),
            }
            for name, value in expected.items():
                assert values[f"{name}@{k}"][row] == pytest.approx(value, abs=1e-12), (name, k)
