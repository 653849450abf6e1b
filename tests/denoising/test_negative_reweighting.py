"""NR: labels and weights by hand, the loss of a batch that follows from them, and what it refuses."""

import numpy as np
import pytest
import tensorflow as tf
from model_cases import checkerboard, make

from tfadt.denoising.negative_reweighting import NR
from tfadt.errors import ConfigError, DataError
from tfadt.models.gmf import GMF
from tfadt.sampling.batches import Batch

# A known click, an unknown click, a sampled item.
LABELS = tf.constant([1.0, 1.0, 0.0])
KNOWN = tf.constant([1.0, 0.0, 0.0])


def test_known_clicks_are_positives_and_other_clicks_negatives_of_their_own_weight():
    labels, weights = NR(click_weight=0.3, negative_weight=0.7).relabel(LABELS, KNOWN)
    assert labels.numpy().tolist() == [1.0, 0.0, 0.0]
    np.testing.assert_allclose(weights, [1.0, 0.3, 0.7])


def test_where_nothing_is_known_a_click_is_a_positive():
    labels, weights = NR(0.3, 0.7).relabel(LABELS, None)
    assert labels.numpy().tolist() == [1.0, 1.0, 0.0]
    np.testing.assert_allclose(weights, [1.0, 1.0, 0.7])


def test_the_loss_of_a_batch_by_hand():
    model = make(GMF, checkerboard())
    model.compile(policy=NR(0.3, 0.7))
    batch = Batch(tf.constant([0, 1, 2], tf.int64), tf.constant([4, 5, 6], tf.int64), LABELS, None, None, KNOWN)
    logits = model.score_pairs(batch.users, batch.items).numpy().astype(np.float64)
    expected = np.log1p(np.exp([-logits[0], logits[1], logits[2]])) @ [1.0, 0.3, 0.7] / 3
    value, loss, weights = model.batch_loss(batch)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(weights, [1.0, 0.3, 0.7])
    assert float(loss[1]) == pytest.approx(np.log1p(np.exp(logits[1])), rel=1e-5)


def test_training_ranks_known_clicks_above_other_clicks():
    data = checkerboard(feedback=False)
    model = make(GMF, data)
    model.compile("adam", NR(click_weight=1.0))
    model.optimizer.learning_rate = 0.05
    model.fit(data, epochs=30, batch_size=64)
    scores = model.score_pairs(data.train.user, data.train.item).numpy()
    assert scores[data.train.known_positive].min() > scores[~data.train.known_positive].max()


def test_without_extra_feedback_it_is_refused():
    data = checkerboard()
    model = make(GMF, data)
    model.compile(policy=NR())
    nothing = data.extra_feedback.take(np.zeros(0, np.int64))
    for extra in (None, nothing):
        with pytest.raises(DataError, match=r"NR needs extra feedback: .* Received: none \(see ingest\.extra_feedback\)"):
            model.fit(data.with_extra_feedback(extra))


@pytest.mark.parametrize("settings", [{"click_weight": -0.1}, {"negative_weight": "1"}, {"click_weight": float("inf")}])
def test_weights_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match=f"{next(iter(settings))} must be at least 0"):
        NR(**settings)


def test_pairs_are_refused():
    data = checkerboard()
    model = make(GMF, data)
    model.compile(policy=NR(), objective="bpr")
    with pytest.raises(ConfigError, match="NR makes negatives of clicks"):
        model.fit(data)
