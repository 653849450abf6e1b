"""Nearest users by inner product, and the import of TensorFlow Recommenders beside Keras 3."""

import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import EXAMPLES, SOAK

from tfadt.errors import ConfigError, DataError
from tfadt.inference import retrieval, tfrs
from tfadt.inference.retrieval import nearest_users

# Inner products with user 0: 9, 3, -3, 6; with user 1: 3, 1, -1, 2; with user 2 the negatives of these.
LINE = np.array([[3.0], [1.0], [-1.0], [2.0]], np.float32)
EVERYBODY = np.arange(4)


def test_nearest_by_inner_product_without_oneself():
    found = nearest_users(LINE, EVERYBODY, EVERYBODY, 2)
    assert found.tolist() == [[3, 1], [0, 3], [1, 3], [0, 1]]
    assert found.dtype == np.int64


def test_only_candidates_are_found_and_short_lists_padded():
    assert nearest_users(LINE, np.array([3, 0]), np.array([1, 3]), 3).tolist() == [[1, -1, -1], [3, 1, -1]]
    assert nearest_users(LINE, np.array([1]), np.array([1]), 1).tolist() == [[-1]]
    assert nearest_users(LINE, np.array([1]), np.array([], np.int64), 2).tolist() == [[-1, -1]]
    assert nearest_users(LINE, np.array([], np.int64), EVERYBODY, 2).shape == (0, 2)


@st.composite
def spaces(draw):
    users, dim = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    # Few distinct values, so that ties are common.
    rows = st.lists(st.integers(-2, 2), min_size=dim, max_size=dim)
    space = np.array(draw(st.lists(rows, min_size=users, max_size=users)), np.float32)
    candidates = sorted(draw(st.sets(st.integers(0, users - 1))))
    return space, np.array(candidates, np.int64), draw(st.integers(1, 14)), draw(st.integers(1, 5))


@settings(max_examples=EXAMPLES)
@given(spaces())
def test_equals_one_sort_a_user(case):
    space, candidates, k, block = case
    users = np.arange(len(space))
    found = nearest_users(space, users, candidates, k, block=block)
    for user in users:
        product = space @ space[user]
        others = sorted((c for c in candidates.tolist() if c != user), key=lambda c: (-product[c], c))[:k]
        # Where the user itself ties with the last one, one of its equals may stand in for another.
        row = [c for c in found[user].tolist() if c >= 0]
        assert user not in row
        assert [product[c] for c in row] == [product[c] for c in others]
        assert len(set(row)) == len(row)
        assert set(row) <= set(candidates.tolist())


@settings(max_examples=40)
@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(
            st.lists(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 1.0]), min_size=n, max_size=n), min_size=1, max_size=4),
            st.integers(1, n),
        )
    )
)
def test_top_k_is_that_of_tensorflow_ties_and_all(case):
    rows, k = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "_CHUNK", 3)
        best, index = retrieval.top_k(tf.constant(rows, tf.float32), k)
    expected, columns = tf.math.top_k(tf.constant(rows, tf.float32), k)
    np.testing.assert_array_equal(best, expected)
    np.testing.assert_array_equal(index, columns)
    assert index.dtype == tf.int64


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"at least 1\. Received: 0"):
        nearest_users(LINE, EVERYBODY, EVERYBODY, 0)
    with pytest.raises(ConfigError, match=r"'exact' or 'scann'\. Received: 'fast'"):
        nearest_users(LINE, EVERYBODY, EVERYBODY, 1, "fast")
    with pytest.raises(DataError, match="finite user vectors"):
        nearest_users(np.array([[1.0], [np.nan]], np.float32), np.arange(2), np.arange(2), 1)


def test_scann_is_used_only_where_it_is_installed(monkeypatch):
    layers = tfrs.retrieval_layers()
    monkeypatch.setattr(layers, "_HAVE_SCANN", False)
    with pytest.raises(ConfigError, match="needs the package scann, which is not installed"):
        nearest_users(LINE, EVERYBODY, EVERYBODY, 1, "scann")
    asked = {}

    def scann(k, num_leaves, num_leaves_to_search, num_reordering_candidates):
        asked.update(k=k, leaves=num_leaves, searched=num_leaves_to_search, ordered=num_reordering_candidates)
        return layers.BruteForce(k=k)

    monkeypatch.setattr(layers, "_HAVE_SCANN", True)
    monkeypatch.setattr(layers, "ScaNN", scann)
    assert nearest_users(LINE, EVERYBODY, EVERYBODY, 2, "scann").tolist() == [[3, 1], [0, 3], [1, 3], [0, 1]]
    assert asked == {"k": 3, "leaves": 2, "searched": 1, "ordered": 4}


IMPORT = """
import tensorflow as tf
from tfadt.inference.tfrs import retrieval_layers
before = tf.keras
layers = retrieval_layers()
assert layers is retrieval_layers()
assert tf.keras is before, tf.keras
assert tf.keras.Model.__module__.startswith({keras!r}), tf.keras.Model
import keras
assert keras.Model is not layers.BruteForce.__mro__[2]
index = layers.BruteForce(k=1).index(tf.constant([[1.0], [2.0]]))
assert index(tf.constant([[3.0]]))[1].numpy().tolist() == [[1]]
"""


@pytest.mark.parametrize(("legacy", "keras"), [("", "keras."), pytest.param("1", "tf_keras.", marks=SOAK)])
def test_keras_is_the_same_object_before_and_after_the_import(legacy, keras, monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", legacy)
    code = IMPORT.format(keras=keras)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_keras_in_use_stays_the_same_object():
    assert tf.keras.Model is not None  # At its first use tf.keras replaces a loader by the module.
    before = tf.keras
    tfrs.retrieval_layers()
    assert tf.keras is before


def test_keras_is_restored_when_the_import_fails(monkeypatch):
    before = tf.keras

    def fail(name):
        if name == "tf_keras":
            return types.ModuleType("tf_keras")
        raise ImportError(name)

    monkeypatch.setattr(tfrs.importlib, "import_module", fail)
    with pytest.raises(ImportError):
        tfrs.retrieval_layers()
    assert tf.keras is before
    assert retrieval.retrieval_layers is tfrs.retrieval_layers
