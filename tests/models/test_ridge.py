"""Users known by their items alone: the equations, by numbers derived by hand, and recommendations by ids."""

import numpy as np
import pytest
import tensorflow as tf
from model_cases import checkerboard, make

from tfadt.errors import ConfigError, DataError
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF
from tfadt.models.neumf import NeuMF
from tfadt.models.ridge import ridge

UNITS = tf.eye(2)
NONE = tf.zeros([2, 2])


def test_ridge_by_hand():
    columns, weights = tf.constant([[0, 1], [1, 0]], tf.int64), tf.constant([[1.0, 3.0], [2.0, 0.0]])
    penalty = tf.constant([1.0, 2.0])
    # Diagonals (1 + 1, 3 + 1) and (0 + 2, 2 + 2); sums of w q are (1, 3) and (0, 2).
    np.testing.assert_allclose(ridge(UNITS, NONE, columns, weights, penalty), [[0.5, 0.75], [0.0, 0.5]])
    right = tf.constant([[2.0, 8.0], [4.0, 4.0]])
    np.testing.assert_allclose(ridge(UNITS, NONE, columns, weights, penalty, right), [[1.0, 2.0], [2.0, 1.0]])
    own = tf.stack([NONE, 2.0 * UNITS])
    np.testing.assert_allclose(ridge(UNITS, own, columns, weights, penalty, right), [[1.0, 2.0], [1.0, 4 / 6]], rtol=1e-6)


def test_gmf_solves_for_a_user_by_hand():
    model = GMF(2, 2, embedding_dim=1, item_bias=True, history_size=3)
    model.history_offsets.assign([0, 2, 3])
    model.history_items.assign([0, 1, 0])
    model.user_table.assign([[0.5], [1.5]])
    model.output_kernel.assign([[2.0]])  # so the users' vectors are 1 and 3: mean 2, variance 1
    model.output_bias.assign([0.0])
    model.item_table.assign([[1.0], [-1.0]])
    log3 = np.log(3.0)
    model.bias_table.assign([[log3 - 2.0], [2.0 - log3]])
    # Logits of the mean user are log 3 and -log 3: probabilities 3/4 and 1/4, h = 3/16. The clicks (0, 1, 0) miss
    # (1/4 + 3/4 + 1/4) / 3 = 5/12 on average, against a mean probability of 1/2: m = 5/6.
    # A user with item 0: (1 + 3/16 + 5/6 * 3/16) z = 1/4 - 5/6 * (3/4 - 1/4) / 2, so z = (1/24) / (43/32) = 4/129.
    # One with both: (1 + 2 * 3/16 + 2 * 5/6 * 3/16) z = (1/4 - 3/4) - 2 * 5/24, so z = (-11/12) / (27/16) = -44/81.
    found = model.score_histories(tf.constant([[0, -1], [0, 1], [-1, -1]], tf.int64))
    z = np.array([4 / 129, -44 / 81, 0.0])
    np.testing.assert_allclose(found, np.stack([log3 + z, -log3 - z], axis=1), rtol=1e-5)


def test_users_who_are_all_alike_say_that_the_next_one_is_too():
    model = make(GMF, checkerboard())
    model.user_table.assign(np.ones(model.user_table.shape))
    found = model.score_histories(tf.constant([[3, 5], [-1, -1]], tf.int64))
    np.testing.assert_allclose(found, model.score_users(tf.constant([0, 1], tf.int64)), rtol=1e-5)


@pytest.mark.parametrize(("cls", "settings"), [(GMF, {"item_bias": True}), (CDAE, {})])
def test_histories_get_items_of_their_colour_and_are_left_out(cls, settings):
    data = checkerboard()
    model = make(cls, data, **settings)
    model.compile("adam")
    model.optimizer.learning_rate = 0.02
    model.fit(data, epochs=20, batch_size=16)
    histories = [data.items.ids[data.train.item[data.train.user == user]].tolist() for user in (4, 9)]
    found = model.recommend_from_history([histories[0] * 2, histories[1]], k=6, exclude_seen=False)
    assert list(found.columns) == ["history", "rank", "item_id", "score"]
    assert [{int(item[1:]) % 2 for item in own["item_id"]} for _, own in found.groupby("history")] == [{0}, {1}]
    left = model.recommend_from_history(histories, k=16)
    for row, own in left.groupby("history"):
        assert set(own["item_id"]) == set(data.items.ids) - set(histories[row])
    scores = model.score_histories(tf.constant([[1, 3, 5]], tf.int64)).numpy()[0]
    one = model.recommend_from_history(["i01", "i03", "i05"], k=16, exclude_seen=False)
    assert one["history"].tolist() == [0] * 16
    np.testing.assert_allclose(one["score"], np.sort(scores)[::-1], rtol=1e-5)
    assert len(model.recommend_from_history([[], ["i01"]], k=2)) == 4


def test_what_cannot_be_ranked_is_told():
    data = checkerboard()
    with pytest.raises(ConfigError, match="NeuMF cannot rank for users whom training did not know"):
        make(NeuMF, data).recommend_from_history(["i00"])
    model = make(GMF, data)
    with pytest.raises(DataError, match=r"1 of 2 item_ids are not in the training data\. Received: 'x7'"):
        model.recommend_from_history([["i00"], ["i01", "x7"]])
    with pytest.raises(ConfigError, match="k must be at least 1"):
        model.recommend_from_history(["i00"], k=0)


def test_in_a_graph_it_is_a_part_of_it_whatever_the_process_solved_before():
    # A function of its own would fit any size after the second one, and an export would hang on what was made before.
    def of_size(size):
        return ridge(tf.ones([4, size]), tf.eye(size), tf.zeros([1, 2], tf.int64), tf.ones([1, 2]), tf.ones([1]))

    for size in (3, 5):
        assert not tf.function(of_size).get_concrete_function(size).graph.as_graph_def().library.function
