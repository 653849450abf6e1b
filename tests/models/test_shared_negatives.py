"""Models trained against shared negatives or the whole catalogue: one matrix product, the same numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_cases import SMALL, checkerboard, make
from placement import on_host

from tfadt.denoising.truncated import TCE
from tfadt.errors import ConfigError
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF
from tfadt.models.neumf import NeuMF
from tfadt.models.nmtr import NMTR
from tfadt.models.stepping import Stepper
from tfadt.optimizers.deferred_adam import DeferredAdam
from tfadt.sampling.negatives import NegativeSampler
from tfadt.sampling.shared import SharedSampler

SETTINGS = {
    GMF: {"item_bias": True, "init_stddev": 0.3, "init_kernel": "ones"},
    CDAE: {"corruption": 0.0, "normalise": True, "user_vectors": False, "activation": "tanh"},
}
SHARING = pytest.mark.parametrize("cls", SETTINGS, ids=lambda cls: cls.__name__)


def compiled(cls, objective="softmax", optimizer=None, **settings):
    model = make(cls, checkerboard(), **{**SETTINGS[cls], **settings})
    optimizer = optimizer or DeferredAdam
    model.compile(optimizer(0.01, epsilon=1e-5), TCE(0.2, 5), objective, l2=0.1)
    return model


def source_of(model, batch_size=8):
    data = checkerboard()
    return model.batch_source(data.train, SharedSampler(16, 6, seed=model.seed), batch_size)


@SHARING
def test_the_scores_of_a_batch_are_those_of_the_model(cls):
    model = compiled(cls, "binary_crossentropy")
    source = source_of(model)
    batch = source.batch(source.draw(tf.constant([3], tf.int64)), tf.constant(0, tf.int64))
    found = model.contrast(batch)
    scores = model.score_users(batch.users).numpy()
    rows = np.arange(len(batch.items))
    np.testing.assert_allclose(found.positive, scores[rows, batch.items], rtol=1e-4, atol=1e-6)
    shared = tf.gather(found.shared, found.owner).numpy()
    np.testing.assert_allclose(shared, scores[:, batch.shared.numpy()], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.drawn, np.isin(batch.items, batch.shared))
    assert len(found.shared) == len(np.unique(batch.users))


def test_the_softmax_of_cdae_is_over_all_items():
    model = compiled(CDAE)
    source = source_of(model)
    batch = source.batch(source.draw(tf.constant([0], tf.int64)), tf.constant(0, tf.int64))
    assert batch.shared is None
    dense = tf.nn.log_softmax(model.score_users(batch.users))
    expected = -tf.gather(dense, batch.items, batch_dims=1)
    np.testing.assert_allclose(model.shared_loss(batch).loss, expected, rtol=1e-4)


@pytest.mark.parametrize(("cls", "objective"), [(GMF, "softmax"), (GMF, "square"), (CDAE, "softmax")])
def test_deferred_rows_end_where_dense_adam_ends(cls, objective):
    weights = []
    for optimizer in (DeferredAdam, keras.optimizers.Adam):
        model = compiled(cls, objective, optimizer)
        sampler = SharedSampler(16, 6, seed=model.seed)
        model.fit(checkerboard(), epochs=3, batch_size=5 if cls.user_batches else 16, sampler=sampler)
        # The softmax does not depend on a bias that all items have: its gradient is rounding error and nothing else.
        weights.append([v.numpy() for v in model.trainable_variables if objective != "softmax" or v.name != "output_bias"])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


def test_a_run_in_two_parts_is_bit_for_bit_a_run_in_one():
    whole, halves = compiled(GMF), compiled(GMF)
    source = source_of(whole, 32)
    whole.fit_source(source, 2)
    halves.fit_source(source, 1, horizon=2 * source.steps_per_epoch)
    halves.fit_source(source, 2, initial_epoch=1, horizon=2 * source.steps_per_epoch)
    for a, b in zip(whole.get_weights(), halves.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("cls", "objective"), [(GMF, "softmax"), (GMF, "square"), (CDAE, "softmax")])
def test_a_train_step_stays_on_the_device(cls, objective):
    model = compiled(cls, objective)
    source = source_of(model)
    model.policy.prepare(100, source.positive_share)
    assert on_host(Stepper(source, model._train_on, model.get_metrics_result, model.strategy).function) == []


@SHARING
def test_it_learns_what_is_liked(cls):
    data = checkerboard()
    model = make(cls, data, **SETTINGS[cls])
    model.compile(DeferredAdam(0.02), objective="softmax", l2=0.1)
    model.fit(data, epochs=20, batch_size=5 if cls.user_batches else 32, num_negatives=8)
    assert model.evaluate(data, split="valid", k=2)["recall@2"] > 0.9


def test_what_does_not_go_together_is_refused():
    data = checkerboard()
    for cls in (NeuMF, NMTR):
        with pytest.raises(ConfigError, match=f"{cls.__name__} scores pair by pair.*objective 'softmax'.*negatives by row"):
            make(cls, data).compile(objective="softmax")
        model = make(cls, data)
        model.compile()
        with pytest.raises(ConfigError, match=f"{cls.__name__} scores pair by pair"):
            model.fit(data, sampler=SharedSampler(16, 4))
    model = make(GMF, data)
    model.compile(objective="bpr")
    with pytest.raises(ConfigError, match="BPR needs a negative for each row"):
        model.fit(data, sampler=SharedSampler(16, 4))
    model.compile(objective="softmax")
    with pytest.raises(ConfigError, match="needs negatives that all rows share"):
        model.fit(data, sampler=NegativeSampler(data.history(), 16))
    with pytest.raises(ConfigError, match="needs positives alone"):
        model.train_on_batch((np.array([0]), np.array([0])), np.array([1.0]))
    with pytest.raises(ConfigError, match="negative_weight must be at least 0"):
        model.compile(negative_weight=-1.0)


def test_models_that_share_negatives_are_known():
    assert {cls for cls in SMALL if cls.shared_negatives} == {GMF, CDAE}
