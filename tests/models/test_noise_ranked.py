"""Ranking by a noise model: scores by hand, one ranking by every way to ask, and a file that keeps it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from model_cases import SMALL, SOLVED, checkerboard, make

from tfadt.data.interactions import InteractionData
from tfadt.denoising.noise_model import NoiseModel
from tfadt.errors import ConfigError
from tfadt.models.gmf import GMF
from tfadt.models.noise_ranked import NoiseRanked
from tfadt.training.model_files import load_model


def with_feedback() -> InteractionData:
    """The checkerboard, of whose clicks those on the first items are disliked; every second one is known."""
    data = checkerboard()
    flags = np.arange(len(data.train)) % 2 == 0
    disliked = data.train.item < 5
    train = replace(data.train, false_positive=disliked, known_positive=flags & ~disliked, known_negative=flags & disliked)
    return replace(data, train=train)


DATA = with_feedback()
NOISE = NoiseModel.fit(DATA.train, DATA.num_users, DATA.num_items)


def trained(cls: type, objective: str = "binary_crossentropy"):
    model = make(cls, DATA)
    if cls in SOLVED:
        model.fit(DATA)
    else:
        model.compile(objective=objective)
        model.fit(DATA, epochs=2, batch_size=None if cls.user_batches else 64)
    return model


def every_p() -> np.ndarray:
    """Returns p of all pairs as of items that nobody has clicked."""
    tastes = NOISE.user_taste @ NOISE.item_taste.T
    logits = NOISE.bias + NOISE.user_bias[:, None] + NOISE.item_bias + NOISE.taste_weight * tastes
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("cls", [*SMALL, *SOLVED], ids=lambda cls: cls.__name__)
def test_scores_are_the_models_times_the_power_of_one_minus_p(cls: type, tmp_path) -> None:
    inner = trained(cls)
    model = NoiseRanked.of(inner, NOISE, 1.5)
    users = tf.range(DATA.num_users, dtype=tf.int64)
    own, found = inner.score_users(users).numpy(), model.score_users(users).numpy()
    liked = (1 - every_p()) ** 1.5
    expected = np.where(own > 0, own * liked, own / liked) if cls in SOLVED else np.log(liked / (1 + np.exp(-own)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # Every way to ask gives the same, as does the model that was saved.
    user, item = (grid.ravel() for grid in np.meshgrid(np.arange(20), np.arange(16), indexing="ij"))
    np.testing.assert_allclose(model.score_pairs(user, item), found.ravel(), rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    assert isinstance(again, NoiseRanked)
    np.testing.assert_array_equal(again.score_users(users), found)
    assert again.recommend([100, 101], k=3).equals(model.recommend([100, 101], k=3))
    np.testing.assert_array_equal(again.seen.items, inner.seen.items)
    assert again.evaluate(DATA, k=5) == model.evaluate(DATA, k=5)
    assert hasattr(model, "score_histories") == hasattr(inner, "score_histories")
    if hasattr(inner, "score_histories"):
        history = tf.constant([[0, 4, -1], [7, -1, -1]], tf.int64)
        taste = np.stack([NOISE.item_taste[[0, 4]].sum(0), NOISE.item_taste[7]]) @ NOISE.item_taste.T
        logits = NOISE.bias + NOISE.user_bias.mean() + NOISE.item_bias + NOISE.taste_weight * taste
        liked, own = (1 + np.exp(logits)) ** -1.5, inner.score_histories(history).numpy()
        expected = np.where(own > 0, own * liked, own / liked) if cls in SOLVED else np.log(liked / (1 + np.exp(-own)))
        np.testing.assert_allclose(model.score_histories(history), expected, rtol=1e-4, atol=1e-5)


def test_scores_known_up_to_a_constant_are_logarithms() -> None:
    inner = trained(GMF, "bpr")
    users = tf.constant([3], tf.int64)
    found = NoiseRanked.of(inner, NOISE, 2).score_users(users).numpy()
    np.testing.assert_allclose(found, inner.score_users(users) + 2 * np.log(1 - every_p()[3]), rtol=1e-4, atol=1e-5)


def test_disliked_items_fall_and_without_strength_nothing_moves() -> None:
    inner = trained(next(iter(SMALL)))
    users = np.arange(DATA.num_users)
    plain, none, strong = (
        model.rank(users, 5, exclude_seen=False).items
        for model in (inner, *(NoiseRanked.of(inner, NOISE, g) for g in (0, 9)))
    )
    np.testing.assert_array_equal(plain, none)
    assert (strong < 5).sum() < (plain < 5).sum()


def test_it_trains_no_further_and_refuses_a_negative_strength() -> None:
    inner = make(GMF, DATA)
    inner.compile()
    with pytest.raises(ConfigError, match=r"gamma must be at least 0\. Received: -1"):
        NoiseRanked.of(inner, NOISE, -1)
    with pytest.raises(ConfigError, match="trains no further"):
        NoiseRanked.of(inner, NOISE, 1).fit(DATA)
