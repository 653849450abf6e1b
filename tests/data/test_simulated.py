"""The simulated clicks can be learned from, and their noise does harm."""

from __future__ import annotations

import numpy as np
import pytest

from tfadt.config.ingest import IngestConfig, Simulated
from tfadt.data.ingest import ingest
from tfadt.data.interactions import InteractionData
from tfadt.data.simulated import simulate


def test_the_default_is_as_described() -> None:
    frame = simulate(Simulated())
    assert frame.columns.tolist() == ["user_id", "item_id", "rating", "timestamp"]
    assert len(frame) == 100_000
    assert not frame.duplicated(["user_id", "item_id"]).any()
    assert set(frame["rating"]) == {1, 2, 3, 4, 5}
    assert 0.2 < np.mean(frame["rating"] < 3) < 0.3
    assert frame["timestamp"].is_monotonic_increasing
    assert frame["user_id"].nunique() == 3000


def test_a_data_set_is_shown_in_one_line() -> None:
    data = ingest(IngestConfig(simulated=Simulated(users=50, items=20, interactions=400)))
    assert repr(data) == (
        f"<InteractionData: {data.num_users} users, {data.num_items} items; "
        f"interactions: train {len(data.train)}, valid {len(data.valid)}, test {len(data.test)}>"
    )


def test_dwell_times_say_the_same_as_ratings() -> None:
    ratings, dwells = simulate(Simulated()), simulate(Simulated(feedback="dwell_time"))
    np.testing.assert_array_equal(ratings["rating"] < 3, dwells["dwell_time"] < 10)
    assert dwells["dwell_time"].between(0, 3600).all()


def test_it_is_seeded() -> None:
    assert simulate(Simulated(seed=1)).equals(simulate(Simulated(seed=1)))
    assert not simulate(Simulated(seed=1)).equals(simulate(Simulated(seed=2)))


def test_noise_makes_false_positives() -> None:
    shares = [np.mean(simulate(Simulated(noise=noise))["rating"] < 3) for noise in (0, 0.5, 1)]
    assert shares[0] < 0.05 < shares[1] < 0.35 < shares[2]


@pytest.mark.parametrize(("users", "items", "interactions"), [(2, 2, 100_000), (2, 2, 1), (5000, 3, 100), (3, 5000, 100)])
def test_extreme_sizes(users: int, items: int, interactions: int) -> None:
    frame = simulate(Simulated(users=users, items=items, interactions=interactions))
    assert len(frame) <= min(interactions, users * items)
    assert len(frame) > 0


def recall_at_20(scores: np.ndarray, data: InteractionData) -> float:
    for split in (data.train, data.valid):
        scores[split.user, split.item] = -np.inf
    ranked = np.zeros(scores.shape, bool)
    np.put_along_axis(ranked, np.argpartition(-scores, 20)[:, :20], True, axis=1)
    tests = np.bincount(data.test.user, minlength=data.num_users)
    hits = np.bincount(data.test.user[ranked[data.test.user, data.test.item]], minlength=data.num_users)
    return float(np.mean(hits[tests > 0] / tests[tests > 0]))


def linear_autoencoder(data: InteractionData, rows: np.ndarray) -> np.ndarray:
    """EASE (Steck, 2019) with an L2 weight of 100."""
    clicks = np.zeros((data.num_users, data.num_items), np.float32)
    clicks[data.train.user[rows], data.train.item[rows]] = 1
    inverse = np.linalg.inv(clicks.T @ clicks + 100 * np.eye(data.num_items, dtype=np.float32))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return clicks @ weights


def test_taste_can_be_learned_and_false_positives_do_harm() -> None:
    data = ingest(IngestConfig(simulate=True))
    flags = data.train.false_positive
    assert flags is not None
    popularity = np.bincount(data.train.item, minlength=data.num_items).astype(np.float32)
    popular = recall_at_20(np.tile(popularity, (data.num_users, 1)), data)
    everything = recall_at_20(linear_autoencoder(data, np.ones(len(flags), bool)), data)
    clean = recall_at_20(linear_autoencoder(data, ~flags), data)
    as_many_at_random = recall_at_20(linear_autoencoder(data, np.random.default_rng(0).permutation(~flags)), data)
    assert everything > 1.2 * popular
    assert clean > 1.03 * everything > 1.03 * as_many_at_random
