"""SGDL by hand: what is among a user's best n_u items often enough is clean."""

import numpy as np
import pytest
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.denoising.base import Rows
from tfadt.denoising.sgdl import SGDL
from tfadt.errors import ConfigError

# User 0 has clicked the items 0 and 1 (interactions 0 and 2), user 3 the items 1 and 0 (interactions 1 and 3).
ROWS = Interactions(np.array([0, 3, 0, 3]), np.array([0, 1, 1, 0]))


class Model:
    def __init__(self, scores):
        self.scores = tf.constant(scores)

    def score_users(self, users):
        return tf.gather(self.scores, users)


def weigh(policy):
    ids, ones = tf.zeros(5, tf.int64), tf.ones(5)
    rows = Rows(ids, ids, ones, ones, ones, interactions=tf.constant([0, 1, 2, 3, -1], tf.int64))
    return policy.weights(rows, tf.constant(0, tf.int64))[0].numpy().tolist()


def test_a_click_is_clean_if_it_was_memorised_in_half_of_the_epochs():
    policy = SGDL(window=2)
    policy.build(ROWS, 4, 3)
    # The best two of user 0 are the items 0 and 2, of user 3 the items 1 and 0.
    policy.on_epoch_end(0, Model([[3.0, 1.0, 2.0], [0.0] * 3, [0.0] * 3, [1.0, 5.0, 0.0]]))
    assert policy.memorised[0].numpy().tolist() == [1, 1, 0, 1]
    assert weigh(policy) == [1, 1, 1, 1, 1]
    # Now the items 1 and 2 of user 0, and the items 2 and 1 of user 3.
    policy.on_epoch_end(1, Model([[1.0, 3.0, 2.0], [0.0] * 3, [0.0] * 3, [1.0, 5.0, 9.0]]))
    assert weigh(policy) == [1, 1, 1, 1, 1]
    # As before: interaction 0 was memorised in neither of the last two epochs, and interaction 3 in one.
    for _ in range(2):
        policy.on_epoch_end(2, Model([[1.0, 3.0, 2.0], [0.0] * 3, [0.0] * 3, [5.0, 1.0, 0.0]]))
        assert weigh(policy) == [0, 1, 1, 1, 1]


def test_a_window_of_no_epoch_is_refused():
    with pytest.raises(ConfigError, match="window must be at least 1 epoch"):
        SGDL(window=0)
    assert SGDL.from_config(SGDL(3).get_config()).window == 3
