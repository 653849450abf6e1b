"""Colliding inference by hand on four users, and where it must be the plain ranking bit for bit."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from model_cases import SMALL, checkerboard, make, random_neighbors

from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.ranking import RankingEvaluator, rank
from tfadt.inference import colliding
from tfadt.inference.colliding import CollidingScorer, rows_a_piece
from tfadt.inference.neighbors import neighbor_table, sparse_users
from tfadt.models.gmf import GMF

MODELS = pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
MIXES = pytest.mark.parametrize("mix", ["probabilities", "logits"])

# Four users, three items: user u's logits are row u.
LOGITS = np.array([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0], [0.0, -2.0, 4.0], [-1.0, 1.0, 0.0]], np.float32)
# User 0 has neighbours 1 and 2, user 1 has user 2, user 2 none, user 3 has 0.
NEIGHBORS = np.array([[1, 2], [2, -1], [-1, -1], [0, -1]])
EVERYBODY = tf.range(4, dtype=tf.int64)


def four_users():
    """A GMF whose logits are `LOGITS`: h of ones, item vectors the axes."""
    model = GMF(4, 3, embedding_dim=3)
    model.user_table.assign(LOGITS)
    model.item_table.assign(np.eye(3))
    model.output_kernel.assign(np.ones((3, 1)))
    return model


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


def test_mixture_of_logits_by_hand():
    scores = CollidingScorer(four_users(), NEIGHBORS, 0.75, "logits").score_users(EVERYBODY)
    expected = [
        # 3/4 (0, 1, -1) + 1/4 ((2, 0, 0) + (0, -2, 4)) / 2
        [0.25, 0.5, -0.25],
        # 3/4 (2, 0, 0) + 1/4 (0, -2, 4): the one neighbour weighs 1.
        [1.5, -0.5, 1.0],
        [0.0, -2.0, 4.0],
        [-0.75, 1.0, -0.25],
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_mixture_of_probabilities_by_hand():
    scores = CollidingScorer(four_users(), NEIGHBORS, 0.75).score_users(EVERYBODY)
    s = sigmoid
    expected = [
        [0.75 * 0.5 + 0.125 * (s(2) + 0.5), 0.75 * s(1) + 0.125 * (0.5 + s(-2)), 0.75 * s(-1) + 0.125 * (0.5 + s(4))],
        [0.75 * s(2) + 0.25 * 0.5, 0.75 * 0.5 + 0.25 * s(-2), 0.75 * 0.5 + 0.25 * s(4)],
        [0.0, -2.0, 4.0],  # Without neighbours: the model's own logits.
        [0.75 * s(-1) + 0.25 * 0.5, 0.75 * s(1) + 0.25 * s(1), 0.75 * 0.5 + 0.25 * s(-1)],
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_lambda_zero_is_the_neighbours_alone():
    scores = CollidingScorer(four_users(), NEIGHBORS, 0.0, "logits").score_users(EVERYBODY)
    np.testing.assert_allclose(scores, [[1.0, -1.0, 2.0], [0.0, -2.0, 4.0], [0.0, -2.0, 4.0], [0.0, 1.0, -1.0]], atol=1e-6)


def test_the_ranking_changes_for_the_mixed_users_only():
    model = four_users()
    plain = rank(model, np.arange(4), 3).items.tolist()
    mixed = rank(CollidingScorer(model, NEIGHBORS, 0.0, "logits"), np.arange(4), 3).items.tolist()
    assert plain == [[1, 0, 2], [0, 1, 2], [2, 0, 1], [1, 2, 0]]
    assert mixed == [[2, 0, 1], [2, 0, 1], [2, 0, 1], [1, 0, 2]]


def by_definition(model, neighbors, lambda_, mix):
    logits = model.score_users(tf.range(model.num_users, dtype=tf.int64)).numpy().astype(np.float64)
    values = sigmoid(logits) if mix == "probabilities" else logits
    out = logits.copy()
    for user, row in enumerate(neighbors):
        row = row[row >= 0]
        if len(row):
            out[user] = lambda_ * values[user] + (1 - lambda_) * values[row].mean(axis=0)
    return out


@MODELS
@MIXES
def test_every_model_mixes_as_the_equation_says(cls, mix):
    model = make(cls, checkerboard())
    model.user_table.assign(model.user_table * 30.0)
    neighbors = random_neighbors(20, 5)
    scorer = CollidingScorer(model, neighbors, 0.3, mix)
    users = np.array([19, 3, 0, 7, 7])
    expected = by_definition(model, neighbors, 0.3, mix)[users]
    np.testing.assert_allclose(scorer.score_users(tf.constant(users)), expected, rtol=1e-5, atol=1e-5)


@MODELS
@MIXES
def test_pieces_of_any_size_give_the_same(cls, mix, monkeypatch):
    model = make(cls, checkerboard())
    neighbors = random_neighbors(20, 5)
    expected = by_definition(model, neighbors, 0.3, mix)
    for rows in (1, 3, 7):
        monkeypatch.setattr(colliding, "rows_a_piece", lambda *sizes, rows=rows: rows)
        scores = CollidingScorer(model, neighbors, 0.3, mix).score_users(tf.range(20, dtype=tf.int64))
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


@functools.cache
def plainly_ranked(cls, scale):
    """A model, its user vectors scaled, and its own ranking."""
    data = checkerboard()
    model = make(cls, data)
    model.user_table.assign(model.user_table * scale)
    return data, model, rank(model, np.arange(20), 16, data.history())


@MODELS
@MIXES
@pytest.mark.parametrize("case", ["lambda 1", "no neighbours"])
def test_lambda_one_or_nobody_below_the_threshold_is_the_plain_ranking_bit_for_bit(cls, mix, case):
    # Logits so large that their sigmoids are all 1 and tie: only the logits themselves keep the order.
    data, model, plain = plainly_ranked(cls, 1e4)
    neighbors = random_neighbors(20, 5) if case == "lambda 1" else np.full((20, 5), -1)
    scorer = CollidingScorer(model, neighbors, 1.0 if case == "lambda 1" else 0.4, mix)
    mixed = rank(scorer, np.arange(20), 16, data.history())
    np.testing.assert_array_equal(mixed.items, plain.items)
    np.testing.assert_array_equal(mixed.scores, plain.scores)


@MODELS
@MIXES
def test_users_without_neighbours_keep_their_scores_bit_for_bit_beside_others(cls, mix):
    data, model, plain = plainly_ranked(cls, 1.0)
    neighbors = random_neighbors(20, 5)
    mixed = rank(CollidingScorer(model, neighbors, 0.4, mix), np.arange(20), 16, data.history())
    alone = (neighbors < 0).all(axis=1)
    assert alone.any()
    np.testing.assert_array_equal(mixed.items[alone], plain.items[alone])
    np.testing.assert_array_equal(mixed.scores[alone], plain.scores[alone])


@MIXES
def test_it_evaluates_as_a_model_does_and_sees_new_weights(mix):
    data = checkerboard()
    model = make(GMF, data)
    evaluator = RankingEvaluator(data.test, data.history(), (4,))
    scorer = CollidingScorer(model, random_neighbors(20, 5), 0.5, mix)
    before = evaluator(scorer).per_user
    model.item_table.assign(-model.item_table)
    model.output_bias.assign([3.0])
    again = evaluator(CollidingScorer(model, random_neighbors(20, 5), 0.5, mix)).per_user
    after = evaluator(scorer).per_user
    assert not before.equals(after)
    assert after.equals(again)


@pytest.mark.parametrize("neighbors", [1, 20, 100])
def test_the_scores_of_neighbours_fill_4_mb_at_a_time_or_those_of_one_user(neighbors):
    assert rows_a_piece(200_000, 100_000, neighbors) == max(1, 10 // neighbors)
    assert rows_a_piece(21_000, 6_596, neighbors) * neighbors * 6_596 * 4 <= 4 << 20
    # The scores of all neighbours fit into 64 MB: each is computed once, however many users ask for it.
    assert rows_a_piece(900, 6_596, neighbors) > 10**9


@pytest.mark.parametrize("lambda_", [-0.1, 1.5, float("nan"), True, "0.5"])
def test_lambda_outside_0_to_1_is_refused(lambda_):
    with pytest.raises(ConfigError, match=r"lambda must lie in \[0, 1\]\. Received: "):
        CollidingScorer(four_users(), NEIGHBORS, lambda_)


@pytest.mark.parametrize(
    ("neighbors", "message"),
    [
        (NEIGHBORS[:3], r"a row for each of the 4 users\. Received: int64 of shape \(3, 2\)"),
        (NEIGHBORS[:, 0], "a row for each of the 4 users"),
        (NEIGHBORS.astype(float), "a table of integers"),
        (np.where(NEIGHBORS == 2, 4, NEIGHBORS), r"user codes 0 \.\. 3, or -1 for none\. Received: -1 \.\. 4"),
        (np.where(NEIGHBORS == -1, -2, NEIGHBORS), r"Received: -2 \.\. 2"),
        (np.where(NEIGHBORS == 2, 0, NEIGHBORS), "cannot be its own neighbour. Received: user code 0"),
    ],
)
def test_neighbours_that_do_not_fit_are_refused(neighbors, message):
    with pytest.raises(DataError, match=message):
        CollidingScorer(four_users(), neighbors, 0.5)


def test_an_unknown_mixture_is_refused():
    with pytest.raises(ConfigError, match=r"'probabilities' or 'logits'\. Received: 'scores'"):
        CollidingScorer(four_users(), NEIGHBORS, 0.5, "scores")


# ---------------------------------------------------------------- whose neighbours are whose


SPACE = np.array([[3.0], [1.0], [-1.0], [2.0]], np.float32)


def test_only_users_with_extra_feedback_are_neighbours_and_only_sparse_users_have_any():
    ratio = np.array([0.5, 0.05, 0.2, 0.0])
    sparse = sparse_users(ratio, 0.3)
    assert sparse.tolist() == [False, True, True, False]
    assert neighbor_table(SPACE, ratio, sparse, 2).tolist() == [[-1, -1], [0, 2], [1, 0], [-1, -1]]
    with_empty = sparse_users(ratio, 0.3, include_empty=True)
    assert neighbor_table(SPACE, ratio, with_empty, 3)[3].tolist() == [0, 1, 2]


def test_sparse_users_by_threshold():
    ratio = np.array([0.0, 0.1, 0.3, 1.0])
    assert sparse_users(ratio, 0.3).tolist() == [False, True, False, False]
    assert sparse_users(ratio, None).tolist() == [False, True, True, True]
    assert sparse_users(ratio, None, include_empty=True).all()
    assert not sparse_users(ratio, 0.05).any()


def test_fewer_candidates_than_neighbours_are_padded_and_as_many_neighbours_as_users_refused():
    ratio, everybody = np.array([0.5, 0.5, 0.0, 0.0]), np.ones(4, bool)
    assert neighbor_table(SPACE, ratio, everybody, 3).tolist() == [[1, -1, -1], [0, -1, -1], [1, 0, -1], [0, 1, -1]]
    with pytest.raises(ConfigError, match=r"must lie in 1 \.\. 3: .* Received: 4"):
        neighbor_table(SPACE, ratio, everybody, 4)
    with pytest.raises(ConfigError, match="Received: 0"):
        neighbor_table(SPACE, ratio, everybody, 0)


def test_nobody_with_extra_feedback_is_refused():
    with pytest.raises(DataError, match=r"users with extra feedback, .* Received: none"):
        neighbor_table(SPACE, np.zeros(4), np.ones(4, bool), 2)
    with pytest.raises(DataError, match=r"of the same users\. Received: 4, 3 and 4"):
        neighbor_table(SPACE, np.zeros(3), np.ones(4, bool), 2)
