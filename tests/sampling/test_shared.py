"""Shared negatives: distinct, every item as often as any other, a function of (seed, step)."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfadt.data.interactions import Interactions
from tfadt.errors import ConfigError
from tfadt.sampling.batches import PairSource
from tfadt.sampling.shared import SharedSampler, SharedSource
from tfadt.sampling.user_batches import UserSource

ROWS = Interactions(np.repeat(np.arange(10), 3), np.arange(30) % 7, np.arange(30) % 5 == 0)


def steps(first, last):
    return tf.range(first, last, dtype=tf.int64)


def test_items_are_distinct_ascending_and_keyed_by_seed_and_step():
    sampler = SharedSampler(50, 12, seed=3)
    drawn = sampler(steps(0, 40)).numpy()
    assert drawn.shape == (40, 12)
    assert (np.diff(drawn, axis=1) > 0).all()
    assert drawn.min() >= 0
    assert drawn.max() < 50
    np.testing.assert_array_equal(SharedSampler(50, 12, seed=3)(steps(17, 19)), drawn[17:19])
    assert (SharedSampler(50, 12, seed=4)(steps(0, 40)).numpy() != drawn).any(axis=1).all()


def test_every_item_and_every_pair_of_items_is_drawn_as_often():
    drawn = SharedSampler(37, 10)(steps(0, 4000)).numpy()
    counts = np.bincount(drawn.ravel(), minlength=37)
    assert stats.chisquare(counts).pvalue > 1e-3
    member = np.zeros((4000, 37))
    np.put_along_axis(member, drawn, 1.0, axis=1)
    together = (member.T @ member)[np.triu_indices(37, 1)]
    expected = 4000 * 10 * 9 / (37 * 36)
    assert abs(together - expected).max() < 5 * np.sqrt(expected)


def test_more_items_than_there_are_is_all_of_them():
    np.testing.assert_array_equal(SharedSampler(5, 99)(steps(0, 3)), np.tile(np.arange(5), (3, 1)))
    with pytest.raises(ConfigError, match=r"num_negatives must be at least 1\. Received: 0"):
        SharedSampler(5, 0)


@pytest.mark.parametrize("make", [PairSource, UserSource])
def test_an_epoch_has_every_positive_once_beside_the_items_of_its_step(make):
    sampler = SharedSampler(7, 4, seed=1)
    source = SharedSource(make(ROWS, None, 4, num_negatives=0), sampler)
    drawn = source.draw(steps(0, source.steps_per_epoch))
    batches = [source.batch(drawn, tf.constant(k, tf.int64)) for k in range(source.steps_per_epoch)]
    users, items, labels, flags = (
        np.concatenate([getattr(batch, name).numpy() for batch in batches])
        for name in ("users", "items", "labels", "false_positive")
    )
    order = np.lexsort((items, users))
    expected = np.lexsort((ROWS.item, ROWS.user))
    for found, column in ((users, ROWS.user), (items, ROWS.item), (flags, ROWS.false_positive)):
        np.testing.assert_array_equal(found[order], column[expected])
    assert (labels == 1).all()
    assert (source.positive_share, source.without_negative, source.has_feedback) == (1.0, 0, True)
    np.testing.assert_array_equal([batch.shared for batch in batches], sampler(steps(0, source.steps_per_epoch)))
