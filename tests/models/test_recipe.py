"""The recipe of training: L2 on the rows read, item biases, the initial scale."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_cases import SMALL, checkerboard, make
from soak import EVERY

from tfadt.denoising.truncated import TCE
from tfadt.errors import ConfigError
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF
from tfadt.models.neumf import NeuMF
from tfadt.optimizers.deferred_adam import DeferredAdam
from tfadt.optimizers.rates import learning_rate
from tfadt.sampling.batches import Batch

MODELS = pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
BIASED = pytest.mark.parametrize("cls", [GMF, NeuMF], ids=lambda cls: cls.__name__)


def test_the_penalty_pulls_on_the_rows_read_by_how_often_they_are_read():
    tables = []
    for l2 in (0.0, 0.6):
        model = make(GMF, checkerboard(), item_bias=True)
        model.bias_table.assign(np.ones((16, 1)))
        model.compile(keras.optimizers.SGD(0.5), l2=l2)
        # Four rows: user 3 stands in three of them, item 2 in two.
        users, items = tf.constant([3, 3, 3, 5], tf.int64), tf.constant([2, 2, 7, 9], tf.int64)
        before = model.user_table.numpy(), model.item_table.numpy()
        model.train_step(Batch(users, items, tf.constant([1.0, 0.0, 1.0, 0.0])))
        tables.append((model.user_table.numpy(), model.item_table.numpy(), model.bias_table.numpy()))
    (user, item, bias), (own_user, own_item, own_bias) = tables
    # Half the mean over four rows of |row|^2 has the gradient (reads / 4) row.
    np.testing.assert_allclose(own_user[3] - user[3], -0.5 * 0.6 * 3 / 4 * before[0][3], atol=1e-7)
    np.testing.assert_allclose(own_item[2] - item[2], -0.5 * 0.6 * 2 / 4 * before[1][2], atol=1e-7)
    np.testing.assert_allclose(own_item[9] - item[9], -0.5 * 0.6 * 1 / 4 * before[1][9], atol=1e-7)
    np.testing.assert_array_equal(own_user[4], before[0][4])
    np.testing.assert_array_equal(own_bias, bias)


@MODELS
@pytest.mark.parametrize("objective", ["binary_crossentropy", "bpr"])
def test_the_penalty_is_the_same_under_deferred_and_under_dense_adam(cls, objective):
    if not (EVERY or cls is GMF or objective == "binary_crossentropy"):
        pytest.skip("pairs under one model: make soak")
    data, weights = checkerboard(), []
    settings = {"item_bias": True, "init_stddev": 0.1} if cls in (GMF, NeuMF) else {}
    for optimizer in (keras.optimizers.Adam, DeferredAdam):
        model = make(cls, data, **settings)
        model.compile(optimizer(0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-5), TCE(0.2, 5), objective, l2=0.3)
        model.fit(data, epochs=4, batch_size=4 if cls.user_batches else 16)
        # A margin does not depend on the output bias: under BPR its gradient is rounding error and nothing else.
        weights.append([v.numpy() for v in model.trainable_variables if objective != "bpr" or v.name != "output_bias"])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


def test_a_cosine_of_the_learning_rate_spans_the_run_and_is_the_same_under_both_adams():
    data, weights = checkerboard(), []
    for optimizer in (keras.optimizers.Adam, DeferredAdam):
        rate = learning_rate(0.02, "cosine")
        model = make(GMF, data)
        model.compile(optimizer(rate, epsilon=1e-5))
        model.fit(data, epochs=4, batch_size=16)
        steps = int(model.iteration)
        # Half a cosine over the run: all, half and nothing of the rate at its beginning, middle and end.
        np.testing.assert_allclose([rate(0), rate(steps / 2), rate(steps)], [0.02, 0.01, 0.0], atol=1e-7)
        weights.append([v.numpy() for v in model.trainable_variables])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)
    assert learning_rate(0.02, "constant") == 0.02
    with pytest.raises(ConfigError, match=r"Expected one of constant, cosine\. Received: 'linear'"):
        learning_rate(0.02, "linear")


@pytest.mark.parametrize("cls", SMALL if EVERY else (GMF, CDAE), ids=lambda cls: cls.__name__)
def test_the_penalty_makes_rows_shorter_and_is_not_in_the_reported_loss(cls):
    data, lengths, losses = checkerboard(), [], []
    for l2 in (0.0, 1.0):
        model = make(cls, data)
        model.compile(DeferredAdam(0.01), l2=l2)
        first = model.fit(data, batch_size=len(data.train) * 2, epochs=1).history["loss"][0]
        model.fit(data, batch_size=5 if cls.user_batches else 32, epochs=6)
        lengths.append(float(np.square(model.user_table.numpy()).sum()))
        losses.append(first)
    assert lengths[1] < 0.9 * lengths[0]
    assert losses[0] == losses[1]  # of the first step, made from the same weights


@BIASED
def test_item_biases_add_to_the_logits_and_are_learned_saved_and_searched_for(cls, tmp_path):
    data = checkerboard()
    model = make(cls, data, item_bias=True)
    users, items = (grid.ravel() for grid in np.meshgrid(np.arange(20), np.arange(16), indexing="ij"))
    plain = model.score_pairs(users, items).numpy()
    bias = np.random.default_rng(0).normal(size=(16, 1)).astype(np.float32)
    model.bias_table.assign(bias)
    np.testing.assert_allclose(model.score_pairs(users, items), plain + bias[items, 0], atol=1e-6)
    whole = model.score_users(tf.range(20, dtype=tf.int64)).numpy().ravel()
    np.testing.assert_allclose(whole, plain + bias[items, 0], atol=1e-5)
    model.compile(l2=0.2)
    model.fit(data, batch_size=32)
    assert (model.bias_table.numpy() != bias).any()
    model.save(tmp_path / "model.keras")
    back = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(back.score_pairs(users, items), model.score_pairs(users, items))
    assert (back.l2, back.get_config()["item_bias"]) == (0.2, True)


@BIASED
def test_the_initial_scale_scales_the_vectors_and_nothing_else(cls):
    default, wide = make(cls, checkerboard()), make(cls, checkerboard(), init_stddev=0.05)
    for a, b in zip(default.trainable_variables, wide.trainable_variables, strict=True):
        np.testing.assert_allclose(b, a * (5.0 if "table" in a.name else 1.0), rtol=1e-5)
    assert default.bias_table is None


@BIASED
def test_item_biases_begin_at_the_log_of_the_clicks(cls):
    board = checkerboard()
    data = replace(board, train=board.train.take((board.train.item > 0) | (board.train.user < 5)))
    model = make(cls, data, item_bias=True, init_bias="popularity")
    counts = np.bincount(data.train.item, minlength=data.num_items) + 1
    expected = np.log(counts) - np.log(counts.mean())
    np.testing.assert_allclose(model.bias_table.numpy()[:, 0], expected, atol=1e-6)
    assert model.get_config()["init_bias"] == "popularity"


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"init_bias must be 'zeros' or 'popularity'\. Received: 'clicks'"):
        make(NeuMF, checkerboard(), item_bias=True, init_bias="clicks")
    with pytest.raises(ConfigError, match=r"init_stddev must be above 0\. Received: 0"):
        make(GMF, checkerboard(), init_stddev=0)
    with pytest.raises(ConfigError, match=r"l2 must be at least 0\. Received: -0\.1"):
        make(GMF, checkerboard()).compile(l2=-0.1)
    with pytest.raises(ConfigError, match=r"0 < beta_1 < sqrt\(beta_2\) < 1.*Received: beta_1=0\.99, beta_2=0\.9"):
        DeferredAdam(0.01, 0.99, 0.9)
