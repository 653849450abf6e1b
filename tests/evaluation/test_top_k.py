"""The largest of many scores in two steps: equal to a sort, ties by place included."""

import numpy as np
import pytest
import tensorflow as tf

from tfadt.evaluation.top_k import top_k


@pytest.mark.parametrize(("items", "k"), [(255, 1), (256, 1), (300, 1), (1000, 3), (1031, 4), (2000, 7)])
@pytest.mark.parametrize("kinds", [1, 3, 10_000])
def test_equals_a_stable_sort(items, k, kinds):
    rng = np.random.default_rng(items + kinds)
    scores = rng.integers(0, kinds, (6, items)).astype(np.float32)
    excluded = rng.random((6, items)) < np.array([0, 0.1, 0.5, 0.9, 1, 1])[:, None]
    excluded[5, items - 1] = False  # The last item alone is left.
    cells = tf.constant(np.flatnonzero(excluded))
    values, places, undefined = (t.numpy() for t in top_k(tf.constant(scores), k, items, cells))
    masked = np.where(excluded, -np.inf, scores)
    expected = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(values, np.take_along_axis(masked, expected, axis=1))
    real = np.isfinite(values)  # Which of the excluded items fill up a row nobody asks.
    np.testing.assert_array_equal(places[real], expected[real])
    assert real.sum(axis=1).tolist()[4:] == [0, 1]
    assert not undefined.any()


def test_nothing_need_be_excluded():
    values, places, _ = top_k(tf.reshape(tf.range(600.0), [2, 300]), 1, 300)
    assert (values.numpy().tolist(), places.numpy().tolist()) == ([[299.0], [599.0]], [[299], [299]])


@pytest.mark.parametrize("items", [255, 1031])
def test_nan_is_told_wherever_it_lies_unless_it_is_excluded(items):
    scores = np.zeros((4, items), np.float32)
    scores[[0, 1, 2], [0, items // 2, items - 1]] = np.nan
    assert top_k(tf.constant(scores), 4, items)[2].numpy().tolist() == [True, True, True, False]
    excluded = tf.constant([items // 2 + items], tf.int64)
    assert top_k(tf.constant(scores), 4, items, excluded)[2].numpy().tolist() == [True, False, True, False]
