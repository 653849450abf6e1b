"""The keyed permutation: every index exactly once, whatever the size, seed and epoch."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfadt.sampling.permutation import KeyedPermutation


def order(size, seed=0, epoch=0):
    return KeyedPermutation(size, seed)(tf.range(size, dtype=tf.int64), tf.constant(epoch, tf.int64)).numpy()


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
    whole = permutation(tf.range(1000, dtype=tf.int64), tf.constant(2, tf.int64)).numpy()
    alone = [int(permutation(tf.constant(i, tf.int64), tf.constant(2, tf.int64))) for i in (0, 17, 999)]
    assert alone == whole[[0, 17, 999]].tolist()


@pytest.mark.parametrize("size", [997, 4096])
def test_places_are_uniform_and_neighbours_unrelated(size):
    # Where index 0 goes over 2,000 epochs, in 16 equal bins: chi-square with 15 degrees of freedom stays below 40 (p 5e-4).
    permutation = KeyedPermutation(size, seed=1)
    epochs = tf.range(2000, dtype=tf.int64)
    places = [permutation(tf.fill([2000], tf.constant(i, tf.int64)), epochs).numpy() for i in (0, 1)]
    observed = np.bincount(places[0] * 16 // size, minlength=16)
    assert ((observed - 125) ** 2 / 125).sum() < 40
    assert abs(np.corrcoef(places)[0, 1]) < 0.1
