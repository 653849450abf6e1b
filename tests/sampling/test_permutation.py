"""The keyed permutation: every index exactly once, whatever the size, seed and epoch."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfadt.sampling.permutation import KeyedPermutation


def permuted(permutation, index, epoch):
    return permutation(tf.constant(index, tf.int64)[None], tf.constant(np.reshape(epoch, [1, -1]), tf.int64)).numpy()[0]


def order(size, seed=0, epoch=0):
    return permuted(KeyedPermutation(size, seed), np.arange(size), epoch)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 3000), seed=st.integers(0, 2**40), epoch=st.integers(0, 10_000))
def test_it_is_a_permutation(size, seed, epoch):
    np.testing.assert_array_equal(np.sort(order(size, seed, epoch)), np.arange(size))


def test_epochs_and_seeds_have_orders_of_their_own():
    first = order(1000)
    assert not np.array_equal(first, order(1000, epoch=1))
    assert not np.array_equal(first, order(1000, seed=1))
    np.testing.assert_array_equal(first, order(1000))


def test_an_index_goes_to_the_same_place_alone_as_among_others():
    permutation = KeyedPermutation(1000, seed=3)
    whole = permuted(permutation, np.arange(1000), 2)
    alone = [int(permuted(permutation, [place], 2)[0]) for place in (0, 17, 999)]
    assert alone == whole[[0, 17, 999]].tolist()


@pytest.mark.parametrize("size", [997, 4096])
def test_places_are_uniform_and_neighbours_unrelated(size):
    # Where index 0 goes over 2,000 epochs, in 16 equal bins: chi-square with 15 degrees of freedom stays below 40 (p 5e-4).
    permutation = KeyedPermutation(size, seed=1)
    places = [permuted(permutation, np.full(2000, index), np.arange(2000)) for index in (0, 1)]
    observed = np.bincount(places[0] * 16 // size, minlength=16)
    assert ((observed - 125) ** 2 / 125).sum() < 40
    assert abs(np.corrcoef(places)[0, 1]) < 0.1
