"""The oracle: what it leaves out, and what it needs."""

import numpy as np
import pytest
import tensorflow as tf
from model_cases import SMALL, checkerboard, make

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import Rows
from tfadt.denoising.clean_only import CleanOnly
from tfadt.denoising.standard import Standard
from tfadt.errors import ConfigError

IDS = tf.zeros([4], tf.int64)
LABELS = tf.constant([1.0, 1.0, 0.0, 1.0])
LOSS = tf.constant([0.5, 2.0, 3.0, 0.1])
STEP = tf.constant(0, tf.int64)


def test_false_positives_weigh_nothing_and_the_rest_is_averaged_over():
    flags = tf.constant([0.0, 1.0, 0.0, 1.0])
    weights, divisor = CleanOnly().weights(Rows(IDS, IDS, LABELS, LOSS, LOSS, None, flags), STEP)
    assert weights.numpy().tolist() == [1.0, 0.0, 1.0, 0.0]
    assert float(divisor) == 2.0


def test_closed_forms_get_the_same_weights():
    rows = Interactions(np.arange(3), np.arange(3), np.array([False, True, False]))
    assert CleanOnly().interaction_weights(rows).tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("objective", ["binary_crossentropy", "bpr"])
def test_every_model_drops_exactly_the_false_positives(cls, objective):
    data = checkerboard()
    model = make(cls, data)
    model.compile(policy=CleanOnly(), objective=objective)
    history = model.fit(data, epochs=2, batch_size=5 if cls.user_batches else 64).history
    share = data.train.false_positive.mean() * (1.0 if objective == "bpr" else 0.5)
    assert history["drop_rate"] == pytest.approx([share] * 2)
    assert history["drop_precision"] == pytest.approx([1.0] * 2)
    assert history["drop_recall"] == pytest.approx([1.0] * 2)


def test_with_no_false_positive_it_is_plain_training():
    data = checkerboard()
    clean = data.train.take(np.arange(len(data.train)))
    clean.false_positive[:] = False
    weights = []
    for policy in (CleanOnly(), Standard()):
        model = make(next(iter(SMALL)), data)
        model.compile(policy=policy)
        model.fit_source(model.batch_source(clean, model.negative_sampler(data), 32), 2)
        weights.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_without_feedback_it_says_what_it_needs_before_a_step_is_made():
    data = checkerboard(feedback=False)
    model = make(next(iter(SMALL)), data)
    model.compile(policy=CleanOnly())
    with pytest.raises(ConfigError, match=r"needs feedback on the training interactions.*Received: none"):
        model.fit(data)
    assert int(model.iteration) == 0
    with pytest.raises(ConfigError, match="needs feedback"):
        CleanOnly().interaction_weights(data.train)
