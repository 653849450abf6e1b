"""The grid of mixtures against one colliding inference after the other, and the choice from it."""

import numpy as np
import pytest
import tensorflow as tf
from model_cases import checkerboard, make, random_neighbors
from soak import EVERY

from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.inference import mixtures
from tfadt.inference.colliding import CollidingScorer
from tfadt.inference.mixtures import choose, mixture_recall
from tfadt.models.gmf import GMF
from tfadt.models.neumf import NeuMF

SIZES, LAMBDAS = (1, 2, 5), (0.0, 0.3, 0.8, 1.0)


@pytest.mark.parametrize(
    ("cls", "mix"),
    [(GMF, "logits"), (NeuMF, "probabilities"), *([(GMF, "probabilities"), (NeuMF, "logits")] if EVERY else [])],
)
def test_the_grid_is_one_evaluation_of_each_mixture(cls, mix):
    data = checkerboard()
    model = make(cls, data)
    model.user_table.assign(model.user_table * 30.0)
    neighbors = random_neighbors(20, 5)
    users, recall = mixture_recall(model, neighbors, data.test, data.history(), SIZES, LAMBDAS, 4, mix)
    everybody = tf.range(data.num_users, dtype=tf.int64)
    # Users 0, 6, 12 and 18 have no neighbours.
    assert users.tolist() == [u for u in range(20) if u % 6]
    evaluator = RankingEvaluator(data.test, data.history(), (4,))
    for s, size in enumerate(SIZES):
        for n, lambda_ in enumerate(LAMBDAS):
            # Not by a Ranker, which would trace each of the mixtures.
            scores = CollidingScorer(model, neighbors[:, :size], lambda_, mix).score_users(everybody).numpy()
            scores[data.train.user, data.train.item] = -np.inf
            top = np.argsort(-scores[evaluator.users], axis=1, kind="stable")[:, :4]
            expected = evaluator.measure(top, data.num_items).per_user.set_index("user")["recall@4"].loc[users]
            np.testing.assert_allclose(recall[:, s, n], expected)


def test_no_score_is_computed_twice(monkeypatch):
    data = checkerboard()
    model = make(GMF, data)
    scored = []
    original = model.score_vectors
    monkeypatch.setattr(model, "score_vectors", lambda v: (scored.append(1), original(v))[1], raising=False)
    mixture_recall(model, random_neighbors(20, 5), data.test, data.history(), SIZES, LAMBDAS, 4)
    # Traced once for the users and once for their neighbours, however many lambdas and sizes there are.
    assert len(scored) == 2


def test_blocks_of_any_size_give_the_same(monkeypatch):
    data = checkerboard()
    model = make(GMF, data)
    model.user_table.assign(model.user_table * 30.0)
    arguments = (model, random_neighbors(20, 5), data.test, data.history(), SIZES, LAMBDAS, 4)
    _, whole = mixture_recall(*arguments)
    monkeypatch.setattr(mixtures, "rows_a_piece", lambda *sizes: 3)
    _, pieces = mixture_recall(*arguments)
    np.testing.assert_allclose(pieces, whole)


def test_nobody_with_neighbours_is_an_empty_grid():
    data = checkerboard()
    users, recall = mixture_recall(make(GMF, data), np.full((20, 5), -1), data.test, data.history(), SIZES, LAMBDAS, 4)
    assert (len(users), recall.shape) == (0, (0, 3, 4))


def test_the_choice_has_the_largest_mean():
    recall = np.zeros((2, 2, 3))
    recall[0, 1, 0], recall[1, 1, 0] = 0.6, 0.2
    recall[:, :, 2] = 0.3
    choice = choose(recall, (1, 5), (0.0, 0.5, 1.0))
    assert (choice.lambda_, choice.num_neighbors, choice.recall, choice.plain, choice.users) == (0.0, 5, 0.4, 0.3, 2)
    assert choice.curve == [[0.0, 0.0, 0.3], [0.4, 0.0, 0.3]]


def test_of_equally_good_mixtures_the_plainest_is_chosen():
    assert choose(np.full((3, 2, 3), 0.5), (1, 5), (0.0, 0.5, 1.0)).lambda_ == 1.0
    better = np.zeros((3, 2, 3))
    better[:, :, 1] = 0.5
    choice = choose(better, (1, 5), (0.0, 0.5, 1.0))
    assert (choice.lambda_, choice.num_neighbors) == (0.5, 1)


def test_without_users_the_plain_ranking_is_chosen():
    choice = choose(np.zeros((0, 2, 3)), (1, 5), (0.0, 0.5, 1.0))
    assert (choice.lambda_, choice.recall, choice.plain, choice.users) == (1.0, None, None, 0)
