"""Negatives: uniform (or by popularity) over what the user has not observed, never an observed item."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfadt.data.interactions import CSR
from tfadt.sampling.negatives import NegativeSampler


def draw(sampler, user, count, epoch=0):
    users = tf.fill([count], tf.constant(user, tf.int64))
    return sampler(users, tf.constant(epoch, tf.int64), tf.range(count, dtype=tf.int64)).numpy()


def observed_items(lists, num_items):
    user = np.repeat(np.arange(len(lists)), [len(x) for x in lists])
    return CSR.from_pairs(user, np.array([i for x in lists for i in x], np.int64), len(lists), num_items)


def test_uniform_over_the_unobserved_items():
    sampler = NegativeSampler(observed_items([[0, 3, 4, 9], [], [5]], 10), 10)
    for user, free in ((0, [1, 2, 5, 6, 7, 8]), (1, list(range(10))), (2, [0, 1, 2, 3, 4, 6, 7, 8, 9])):
        counts = np.bincount(draw(sampler, user, 6000), minlength=10)
        assert counts[np.setdiff1d(np.arange(10), free)].sum() == 0
        assert stats.chisquare(counts[free]).pvalue > 1e-3


def test_popularity_is_proportional_to_the_mass():
    mass = np.array([5, 1, 3, 2, 0, 4])
    sampler = NegativeSampler(observed_items([[0, 3], [2]], 6), 6, mass)
    counts = np.bincount(draw(sampler, 0, 8000), minlength=6)
    assert counts[[0, 3, 4]].tolist() == [0, 0, 0]
    assert stats.chisquare(counts[[1, 2, 5]], 8000 * np.array([1, 3, 4]) / 8).pvalue > 1e-3


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_never_an_observed_item_whatever_the_histories(data):
    num_items = data.draw(st.integers(2, 30))
    items = st.lists(st.integers(0, num_items - 1), max_size=num_items, unique=True)
    lists = data.draw(st.lists(items, min_size=1, max_size=6))
    mass = None
    if data.draw(st.booleans()):
        mass = np.array(data.draw(st.lists(st.integers(1, 5), min_size=num_items, max_size=num_items)))
    sampler = NegativeSampler(observed_items(lists, num_items), num_items, mass, seed=data.draw(st.integers(0, 99)))
    for user, seen in enumerate(lists):
        assert sampler.eligible[user] == (len(seen) < num_items)
        if sampler.eligible[user]:
            drawn = draw(sampler, user, 200)
            assert not set(drawn) & set(seen)
            assert ((drawn >= 0) & (drawn < num_items)).all()


def test_a_user_with_one_free_item_always_gets_it():
    sampler = NegativeSampler(observed_items([[0, 1, 2, 4]], 5), 5)
    assert set(draw(sampler, 0, 50)) == {3}


def test_draws_are_keyed_by_seed_epoch_and_row():
    observed = observed_items([[]], 1000)
    one = draw(NegativeSampler(observed, 1000, seed=1), 0, 100)
    np.testing.assert_array_equal(one, draw(NegativeSampler(observed, 1000, seed=1), 0, 100))
    assert (one != draw(NegativeSampler(observed, 1000, seed=2), 0, 100)).mean() > 0.9
    assert (one != draw(NegativeSampler(observed, 1000, seed=1), 0, 100, epoch=1)).mean() > 0.9
    assert len(set(one)) > 80


@pytest.mark.parametrize("epoch", [0, 2**33])
def test_epochs_beyond_32_bits_are_told_apart(epoch):
    sampler = NegativeSampler(observed_items([[]], 1000), 1000)
    assert not np.array_equal(draw(sampler, 0, 50, epoch), draw(sampler, 0, 50, epoch + 1))
