"""What every model must do, on a checkerboard whose answer is known."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_cases import SMALL, checkerboard, make
from soak import EVERY

from tfadt.denoising.reweighted import RCE
from tfadt.denoising.standard import Standard
from tfadt.denoising.truncated import TCE
from tfadt.errors import ConfigError, DataError
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF
from tfadt.models.neumf import NeuMF
from tfadt.models.nmtr import NMTR

TOGETHER = {
    *((GMF, objective, TCE) for objective in ("binary_crossentropy", "square", "bpr")),
    *((GMF, "binary_crossentropy", policy) for policy in (Standard, RCE)),
    (NeuMF, "bpr", RCE),
    (CDAE, "square", TCE),
    (NMTR, "binary_crossentropy", TCE),
}
"""What trains in `make test`: every policy and every objective under one model, and the other models."""
MODELS = pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
KINDS = pytest.mark.parametrize("cls", SMALL if EVERY else (NeuMF, CDAE), ids=lambda cls: cls.__name__)
"""By row and by user; in `make soak` every model."""


@pytest.fixture(scope="module")
def data():
    return checkerboard()


def trained(cls, data, epochs=2, policy=None, objective="binary_crossentropy", **settings):
    model = make(cls, data, **settings)
    model.compile(keras.optimizers.Adam(0.02), policy, objective)
    batch_size = 5 if cls.user_batches else 64
    history = model.fit(data, epochs=epochs, batch_size=batch_size)
    return model, history.history


@functools.cache
def learned(cls):
    """A model that has learned a checkerboard, not to be changed, with the data and its history."""
    data = checkerboard(40, 24)
    return data, *trained(cls, data, epochs=5)


@MODELS
def test_learns_the_checkerboard_and_recommends_what_was_held_out(cls):
    data, model, history = learned(cls)
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    items, scores = model.rank(np.arange(40), k=2)
    # The two unseen items of a user's own colour come before the twelve of the other.
    expected = [sorted(data.test.item[data.test.user == u]) for u in range(40)]
    assert [sorted(row) for row in items.tolist()] == expected
    assert (np.diff(scores, axis=1) <= 0).all()


@MODELS
@pytest.mark.parametrize("objective", ["binary_crossentropy", "square", "bpr"])
@pytest.mark.parametrize("policy", [TCE(0.2, 5), Standard(), RCE(0.25)], ids=lambda p: type(p).__name__)
def test_every_policy_trains_on_every_objective(cls, objective, policy, data):
    if not (EVERY or (cls, objective, type(policy)) in TOGETHER):
        pytest.skip("each of them comes up, not every combination: make soak")
    _, history = trained(cls, data, 4, policy, objective)
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]
    assert (history["drop_rate"][-1] > 0) == isinstance(policy, TCE)


@MODELS
def test_pair_scores_are_the_cells_of_the_user_scores(cls):
    _, model, _ = learned(cls)
    users, items = np.array([0, 3, 3, 39]), np.array([5, 0, 23, 7])
    whole = model.score_users(tf.range(40, dtype=tf.int64)).numpy()
    assert whole.shape == (40, 24)
    np.testing.assert_allclose(model.score_pairs(users, items), whole[users, items], rtol=1e-5, atol=1e-6)


@MODELS
def test_a_representation_for_each_user(cls, data):
    model = make(cls, data)
    vectors = model.user_representation(tf.constant([4, 4, 1], tf.int64)).numpy()
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert vectors.shape[0] == 3
    assert np.abs(vectors[0] - vectors[2]).max() > 0


@MODELS
def test_the_space_is_every_users_representation(cls, data, monkeypatch):
    model = make(cls, data)
    monkeypatch.setattr("tfadt.models.recommender._BLOCK_USERS", 7)
    expected = model.user_representation(tf.range(20, dtype=tf.int64))
    np.testing.assert_allclose(model.user_space(), expected, rtol=1e-6, atol=1e-8)


@MODELS
def test_a_user_is_scored_by_its_vector(cls, data):
    model = make(cls, data)
    users = tf.constant([7, 0, 19], tf.int64)
    np.testing.assert_array_equal(model.score_vectors(model.user_representation(users)), model.score_users(users))


@MODELS
def test_seen_items_are_left_out_unless_asked_for(cls, data):
    model = make(cls, data)
    seen = set(data.train.item[data.train.user == 2])
    items, scores = model.rank([2], k=16)
    kept = items[0][items[0] >= 0]
    assert set(kept) == set(range(16)) - seen
    assert np.isneginf(scores[0][len(kept) :]).all()
    assert sorted(model.rank([2], k=16, exclude_seen=False).items[0]) == list(range(16))


@MODELS
def test_saved_and_reloaded_it_scores_the_same_and_goes_on_training(cls, data, tmp_path):
    model, _ = trained(cls, data, policy=TCE(0.1, 7), objective="square")
    path = tmp_path / "model.keras"
    model.save(path)
    back = keras.saving.load_model(path)
    users = tf.range(20, dtype=tf.int64)
    np.testing.assert_array_equal(back.score_users(users), model.score_users(users))
    assert back.get_config() == model.get_config()
    assert back.policy.get_config() == model.policy.get_config()
    assert back.objective == "square"
    assert int(back.iteration) == int(model.iteration)
    np.testing.assert_array_equal(back.rank([1], 3).items, model.rank([1], 3).items)
    back.fit(data, epochs=1, batch_size=5)
    assert int(back.iteration) > int(model.iteration)


@MODELS
def test_the_same_seed_gives_the_same_weights_however_the_steps_are_cut_into_calls_and_another_seed_others(cls, data):
    def weights(seed, steps_per_call):
        model = make(cls, data, seed=seed)
        model.compile(policy=TCE(0.1, 5))
        model.fit(data, epochs=2, batch_size=5 if cls.user_batches else 50, steps_per_call=steps_per_call)
        return model.get_weights()

    first = weights(1, 200)
    for steps_per_call in (3, 1) if EVERY or cls is GMF else (3,):
        assert all(np.array_equal(a, b) for a, b in zip(first, weights(1, steps_per_call), strict=True))
    if EVERY or cls is GMF:
        assert any(not np.array_equal(a, b) for a, b in zip(first, weights(2, 200), strict=True))


@KINDS
def test_trains_on_keras_own_inputs_through_the_same_step(cls, data):
    model = make(cls, data)
    model.compile(policy=TCE(0.1, num_gradual=0.5))
    users, items = data.train.user, data.train.item
    history = model.fit((users, items), np.ones(len(users), "float32"), batch_size=32, epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
    assert model.evaluate((users, items), np.ones(len(users), "float32"), verbose=0, return_dict=True)["loss"] > 0


@KINDS
def test_mixed_precision_keeps_float32_scores_and_trains(cls, data):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model, history = trained(cls, data, 5)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.score_pairs([0], [0]).dtype == tf.float32
    assert all(variable.dtype == "float32" for variable in model.trainable_variables)
    assert history["loss"][-1] < history["loss"][0]


@MODELS
def test_misuse_is_refused_with_a_sentence(cls, data):
    model = make(cls, data)
    with pytest.raises(ConfigError, match=r"Call compile\(\) before fit\(\)"):
        model.fit(data)
    for ask in (lambda: model.negative_sampler(data), lambda: model.pairwise, lambda: model.listwise):
        with pytest.raises(ConfigError, match=r"Call compile\(\) first: the objective says"):
            ask()
    with pytest.raises(ConfigError, match=r"User codes must lie in 0 \.\. 19.*Received: 20 \.\. 20"):
        model.rank([20], 3)
    with pytest.raises(ConfigError, match=r"k must be at least 1"):
        model.rank([0], 0)
    with pytest.raises(ConfigError, match=r"Unknown objective 'bprr'\. Did you mean 'bpr'"):
        model.compile(objective="bprr")
    model.compile(policy=TCE(0.5, 2))
    with pytest.raises(ConfigError, match="below the share of positives"):
        model.fit(data)
    model.compile()
    with pytest.raises(DataError, match=r"built for 20 users and 16 items\. Received: data of 40 users and 24 items"):
        model.fit(checkerboard(40, 24))
    with pytest.raises(ConfigError, match=r"fit\(data\) takes no initial_epoch"):
        model.fit(data, initial_epoch=3)
    model.compile(objective="bpr")
    with pytest.raises(ConfigError, match="BPR needs pairs"):
        model.fit((data.train.user, data.train.item), np.ones(len(data.train)))


def test_cdae_settings_out_of_range_are_refused(data):
    cdae = next(cls for cls in SMALL if cls.__name__ == "CDAE")
    with pytest.raises(ConfigError, match=r"corruption must lie in \[0, 1\)\. Received: 1\.0"):
        make(cdae, data, corruption=1.0)
    with pytest.raises(ConfigError, match=r"activation must be one of relu, sigmoid, tanh\. Received: 'gelu'"):
        make(cdae, data, activation="gelu")


def test_cdae_hidden_layer_is_the_sum_over_the_history_and_the_users_vector(data):
    cdae = next(cls for cls in SMALL if cls.__name__ == "CDAE")
    model = make(cdae, data, activation="tanh")
    encoder, user = model.encoder_table.numpy(), model.user_table.numpy()
    expected = [np.tanh(encoder[data.train.item[data.train.user == u]].sum(0) + user[u]) for u in (6, 1)]
    np.testing.assert_allclose(model.hidden(tf.constant([6, 1], tf.int64)), expected, rtol=1e-5, atol=1e-7)


def test_cdae_corruption_drops_inputs_in_training_only_and_keeps_their_sum_on_average(data):
    cdae = next(cls for cls in SMALL if cls.__name__ == "CDAE")
    model = make(cdae, data, corruption=0.5, activation="relu")
    model.compile()
    model.encoder_table.assign(np.ones(model.encoder_table.shape))
    model.user_table.assign(np.zeros(model.user_table.shape))
    users = tf.range(20, dtype=tf.int64)
    counts = np.bincount(data.train.user)
    np.testing.assert_allclose(model.hidden(users)[:, 0], counts)
    totals = []
    for step in range(200):
        model.optimizer.iterations.assign(step)
        totals.append(model.hidden(users, training=True).numpy()[:, 0])
    # Each of 6 items is kept with probability 1/2 and counts 2: mean 6, standard error sqrt(6) / sqrt(20 * 200).
    assert np.mean(totals) == pytest.approx(counts.mean(), abs=0.2)
    assert np.std(totals) == pytest.approx(np.sqrt(6), rel=0.1)
