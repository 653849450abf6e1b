"""The noise model: the optimum of its regression, what is known, what it refuses, and how good it says it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tfadt.data.interactions import Interactions
from tfadt.denoising import NoiseModel
from tfadt.errors import DataError

USERS, ITEMS = 40, 30


def clicks(known: float = 0.5, seed: int = 0) -> Interactions:
    """Half of all pairs are clicks; items are disliked with a chance that falls from .6 to .1, whoever clicks."""
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((USERS, ITEMS)) < 0.5)
    disliked = rng.random(len(user)) < np.linspace(0.6, 0.1, ITEMS)[item]
    revealed = rng.random(len(user)) < known
    return Interactions(user, item, disliked, revealed & ~disliked, revealed & disliked)


@pytest.fixture(scope="module")
def model() -> NoiseModel:
    return NoiseModel.fit(clicks(), USERS, ITEMS)


def test_it_is_the_optimum_of_the_penalised_regression(model: NoiseModel) -> None:
    rows = clicks()
    assert rows.known_positive is not None
    assert rows.known_negative is not None
    known = rows.known_positive | rows.known_negative
    error = model.predict(rows.user, rows.item)[known] - rows.known_negative[known]
    # Where .5 * sum of log losses + |weights|^2 / 2 is smallest its slopes are 0, and the intercept bears no penalty.
    assert error.sum() == pytest.approx(0, abs=1e-3)
    np.testing.assert_allclose(0.5 * np.bincount(rows.user[known], error, USERS), -model.user_bias, atol=1e-3)
    np.testing.assert_allclose(0.5 * np.bincount(rows.item[known], error, ITEMS), -model.item_bias, atol=1e-3)
    assert model.known == (rows.known_positive.sum(), rows.known_negative.sum())
    # The first items are disliked most.
    assert model.item_bias[:10].mean() > model.item_bias[-10:].mean() + 0.3


def test_known_clicks_are_what_they_are_known_to_be_and_the_rest_is_as_good_as_it_says(model: NoiseModel) -> None:
    rows = clicks()
    assert rows.known_positive is not None
    assert rows.known_negative is not None
    assert rows.false_positive is not None
    p = model.probabilities(rows)
    assert not p[rows.known_positive].any()
    assert (p[rows.known_negative] == 1).all()
    rest = ~(rows.known_positive | rows.known_negative)
    np.testing.assert_array_equal(p[rest], model.predict(rows.user, rows.item)[rest])
    better = p[rest][:, None] > p[rest][None]
    auc = better[rows.false_positive[rest]][:, ~rows.false_positive[rest]].mean()
    low, high = model.calibration.auc_interval
    assert 0.5 < low < model.calibration.auc < high
    # Both AUCs are of some 300 clicks, of which a standard error of .03 each is to be expected.
    assert auc == pytest.approx(model.calibration.auc, abs=0.1)
    assert model.calibration.brier < model.calibration.brier_of_mean


def test_taste_takes_part_where_it_tells_something() -> None:
    # Users and items of one colour go together; a click across is disliked, which no bias of a user or an item can tell.
    rng = np.random.default_rng(1)
    user, item = np.nonzero(rng.random((60, 60)) < np.where(np.add.outer(np.arange(60), np.arange(60)) % 2, 0.1, 0.6))
    disliked = (user + item) % 2 == 1
    revealed = rng.random(len(user)) < 0.3
    rows = Interactions(user, item, disliked, revealed & ~disliked, revealed & disliked)
    found = NoiseModel.fit(rows, 60, 60)
    assert found.taste_weight < 0
    assert NoiseModel.fit(rows, 60, 60, with_taste=False).taste_weight == 0
    assert found.calibration.auc > 0.8
    p = found.predict(rows.user, rows.item)
    assert p[disliked & ~revealed].mean() > 2 * p[~disliked & ~revealed].mean()
    # A click is judged by the user's other clicks: p of a pair is the same as if it had not been clicked.
    own = found.item_taste[item[0]]
    without = (found.user_taste[user[0]] - own) @ own
    logit = found.bias + found.user_bias[user[0]] + found.item_bias[item[0]] + found.taste_weight * without
    assert p[0] == pytest.approx(1 / (1 + np.exp(-logit)))
    # And of a pair that is no click, by all of them.
    free = next(i for i in range(60) if not ((user == 0) & (item == i)).any())
    logit = found.bias + found.user_bias[0] + found.item_bias[free]
    logit += found.taste_weight * (found.user_taste[0] @ found.item_taste[free])
    assert found.predict(np.array([0]), np.array([free]))[0] == pytest.approx(1 / (1 + np.exp(-logit)))


def test_a_second_fit_is_the_same_to_the_bit(model: NoiseModel) -> None:
    again = NoiseModel.fit(clicks(), USERS, ITEMS)
    every = clicks()
    np.testing.assert_array_equal(model.probabilities(every), again.probabilities(every))


def flags(*values: tuple[int, bool]) -> np.ndarray:
    return np.concatenate([np.full(n, value) for n, value in values])


@pytest.mark.parametrize(
    ("liked", "disliked", "message"),
    [
        (flags((49, True), (251, False)), None, r"at least 50 known clicks. Received: 49 known to be liked and 0 known to"),
        (flags((60, True), (240, False)), None, r"it needs 5 of each. Received: 60 known to be liked and 0 known"),
        (None, flags((300, True)), r"it needs 5 of each. Received: 0 known to be liked and 300 known"),
        (flags((60, True), (240, False)), flags((296, False), (4, True)), "Received: 60 known to be liked and 4 known"),
        (flags((60, True), (240, False)), flags((57, False), (10, True), (233, False)), "Received: 3 clicks .* to be both"),
        (None, None, "Received: 0 known to be liked and 0 known to be disliked"),
    ],
)
def test_too_little_or_contradicting_feedback_is_refused_with_counts(
    liked: np.ndarray | None, disliked: np.ndarray | None, message: str
) -> None:
    rows = replace(clicks().take(np.arange(300)), known_positive=liked, known_negative=disliked)
    with pytest.raises(DataError, match=message):
        NoiseModel.fit(rows, USERS, ITEMS)


def test_unknown_codes_are_refused_with_counts(model: NoiseModel) -> None:
    with pytest.raises(DataError, match=r"user codes 0 \.\. 39\. Received: 2 of 3 pairs with another one, such as 40"):
        model.predict(np.array([40, 1, -1]), np.array([0, 1, 2]))
    with pytest.raises(DataError, match=r"item codes 0 \.\. 9\. Received: .* of .* pairs with another one"):
        NoiseModel.fit(clicks(), USERS, 10)


def test_one_item_gives_biases_of_users_alone() -> None:
    user = np.arange(60)
    disliked = user % 3 == 0
    found = NoiseModel.fit(Interactions(user, np.zeros(60, np.int64), disliked, ~disliked, disliked), 60, 1)
    assert found.taste_weight == 0
    assert np.isfinite(found.predict(user, np.zeros(60, np.int64))).all()
