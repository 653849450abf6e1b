"""What an epoch logs, on a batch computed by hand."""

import pytest
import tensorflow as tf
from model_cases import checkerboard, make

from tfadt.denoising.truncated import TCE
from tfadt.models.gmf import GMF
from tfadt.models.statistics import TrainingStatistics
from tfadt.sampling.batches import Batch

IDS = tf.zeros([5], tf.int64)


def test_losses_and_the_quality_of_the_dropped_set():
    statistics = TrainingStatistics()
    statistics.has_feedback = True
    labels = tf.constant([1.0, 1.0, 1.0, 1.0, 0.0])
    false_positive = tf.constant([1.0, 0.0, 1.0, 0.0, 0.0])
    loss = tf.constant([3.0, 2.0, 1.0, 0.5, 9.0])
    weights = tf.constant([0.0, 0.0, 1.0, 1.0, 1.0])
    statistics.update_state(Batch(IDS, IDS, labels, None, false_positive), tf.constant(0.7), loss, weights)
    values = {name: float(value) for name, value in statistics.result().items()}
    assert values == pytest.approx(
        {
            "loss": 0.7,
            "drop_rate": 2 / 5,
            "true_positive_loss": (2.0 + 0.5) / 2,
            "false_positive_loss": (3.0 + 1.0) / 2,
            "drop_precision": 1 / 2,
            "drop_recall": 1 / 2,
            "random_precision": 2 / 4,
            "random_recall": 2 / 4,
        }
    )


def test_without_feedback_only_loss_and_drop_rate():
    data = checkerboard(feedback=False)
    model = make(GMF, data)
    model.compile(policy=TCE(0.2, 2))
    history = model.fit(data, epochs=2)
    assert set(history.history) == {"loss", "drop_rate"}
