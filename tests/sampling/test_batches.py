"""Batches: every row once an epoch, the same in a fresh process, counts that add up."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tfadt.data.interactions import CSR, Interactions
from tfadt.errors import DataError
from tfadt.sampling.batches import PairSource
from tfadt.sampling.negatives import NegativeSampler
from tfadt.sampling.user_batches import UserSource

NUM_ITEMS = 12


def interactions(full_user=False):
    """20 users with up to 6 of 12 items; with `full_user` user 3 has all of them."""
    rng = np.random.default_rng(0)
    lists = [np.sort(rng.choice(NUM_ITEMS, rng.integers(1, 7), replace=False)) for _ in range(20)]
    if full_user:
        lists[3] = np.arange(NUM_ITEMS)
    user = np.repeat(np.arange(20), [len(x) for x in lists])
    item = np.concatenate(lists)
    order = rng.permutation(len(user))
    return Interactions(user[order], item[order], (user[order] + item[order]) % 3 == 0)


def make(kind, rows, batch_size=16, seed=0, **settings):
    sampler = NegativeSampler(CSR.from_pairs(rows.user, rows.item, 20, NUM_ITEMS), NUM_ITEMS, seed=seed)
    return {"pairs": PairSource, "users": UserSource}[kind](rows, sampler, batch_size, seed=seed, **settings)


def epoch_of(source, epoch=0):
    """All batches of one epoch, drawn in two calls."""
    first = epoch * source.steps_per_epoch
    half = source.steps_per_epoch // 2
    batches = []
    for begin, end in ((0, half), (half, source.steps_per_epoch)):
        drawn = source.draw(tf.range(first + begin, first + end, dtype=tf.int64))
        batches += [source.batch(drawn, tf.constant(k, tf.int64)) for k in range(end - begin)]
    return batches


def column(batches, name):
    return np.concatenate([getattr(batch, name).numpy() for batch in batches])


@pytest.mark.parametrize("kind", ["pairs", "users"])
@pytest.mark.parametrize("num_negatives", [1, 3])
@pytest.mark.parametrize("epoch", [0, 5])
def test_every_interaction_once_an_epoch_with_its_negatives(kind, num_negatives, epoch):
    rows = interactions()
    source = make(kind, rows, 7, num_negatives=num_negatives)
    batches = epoch_of(source, epoch)
    users, items, labels = (column(batches, name) for name in ("users", "items", "labels"))
    positive = labels == 1
    assert sorted(zip(users[positive], items[positive], strict=True)) == sorted(zip(rows.user, rows.item, strict=True))
    seen = set(zip(rows.user, rows.item, strict=True))
    assert not seen & set(zip(users[~positive], items[~positive], strict=True))
    np.testing.assert_array_equal(
        np.bincount(users[~positive], minlength=20), num_negatives * np.bincount(rows.user, minlength=20)
    )
    assert source.positive_share == pytest.approx(1 / (1 + num_negatives))


@pytest.mark.parametrize("kind", ["pairs", "users"])
def test_flags_follow_their_interactions_and_are_zero_for_negatives(kind):
    rows = interactions()
    batches = epoch_of(make(kind, rows))
    users, items, labels, flags = (column(batches, n) for n in ("users", "items", "labels", "false_positive"))
    np.testing.assert_array_equal(flags, labels * ((users + items) % 3 == 0))


@pytest.mark.parametrize("kind", ["pairs", "users"])
def test_pairs_put_an_unseen_item_beside_each_interaction(kind):
    rows = interactions()
    batches = epoch_of(make(kind, rows, pairwise=True))
    users, items, negatives = (column(batches, n) for n in ("users", "items", "negatives"))
    assert sorted(zip(users, items, strict=True)) == sorted(zip(rows.user, rows.item, strict=True))
    assert not set(zip(users, negatives, strict=True)) & set(zip(rows.user, rows.item, strict=True))
    assert column(batches, "labels").tolist() == [1.0] * len(rows)


@pytest.mark.parametrize("kind", ["pairs", "users"])
@pytest.mark.parametrize("pairwise", [False, True])
def test_a_user_with_every_item_gets_no_negative_and_is_counted(kind, pairwise):
    rows = interactions(full_user=True)
    source = make(kind, rows, pairwise=pairwise)
    batches = epoch_of(source)
    users, labels = column(batches, "users"), column(batches, "labels")
    assert source.without_negative == NUM_ITEMS
    assert len(users) == (len(rows) - NUM_ITEMS) * (1 if pairwise else 2) + (0 if pairwise else NUM_ITEMS)
    assert (users[labels == 0] != 3).all()
    assert (users == 3).sum() == (0 if pairwise else NUM_ITEMS)


def test_when_every_user_has_every_item_there_are_only_positives():
    user, item = np.divmod(np.arange(20 * NUM_ITEMS), NUM_ITEMS)
    source = make("pairs", Interactions(user, item))
    assert column(epoch_of(source), "labels").tolist() == [1.0] * len(user)
    with pytest.raises(DataError, match="No pair can be drawn"):
        make("pairs", Interactions(user, item), pairwise=True)


def test_batches_have_the_size_asked_for_and_the_last_is_shorter():
    source = make("pairs", interactions(), 16)
    sizes = [len(batch.users) for batch in epoch_of(source)]
    assert sizes[:-1] == [16] * (len(sizes) - 1)
    assert sum(sizes) == source.num_rows
    assert 0 < sizes[-1] <= 16


def test_user_batches_hold_whole_users():
    source = make("users", interactions(), 4)
    sets = [set(batch.users.numpy()) for batch in epoch_of(source)]
    assert [len(s) for s in sets] == [4] * 5
    assert set.union(*sets) == set(range(20))


def test_no_interactions_are_refused():
    with pytest.raises(DataError, match="nothing to train on"):
        make("pairs", Interactions(np.zeros(0, np.int64), np.zeros(0, np.int64)))


_SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from test_batches import make, interactions, epoch_of, column
for kind in ("pairs", "users"):
    batches = epoch_of(make(kind, interactions(), seed=11), epoch=3)
    print([column(batches, name).tolist() for name in ("users", "items")])
"""


def test_the_same_seed_and_step_give_the_same_batch_in_a_fresh_process(request):
    here = [epoch_of(make(kind, interactions(), seed=11), epoch=3) for kind in ("pairs", "users")]
    script = _SCRIPT.format(folder=str(request.path.parent))
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    expected = [str([column(batches, name).tolist() for name in ("users", "items")]) for batches in here]
    assert there.stdout.splitlines() == expected


@pytest.mark.parametrize("kind", ["pairs", "users"])
@pytest.mark.parametrize("pairwise", [False, True])
def test_known_positives_are_told_of_clicks_only(kind, pairwise):
    rows = interactions()
    known = (rows.user * 7 + rows.item) % 4 == 0
    source = make(kind, replace(rows, known_positive=known), 7, pairwise=pairwise)
    batches = epoch_of(source, 3)
    told = column(batches, "known_positive")
    users, items, labels = (column(batches, name) for name in ("users", "items", "labels"))
    expected = ((users * 7 + items) % 4 == 0) & (labels == 1)
    np.testing.assert_array_equal(told, expected)
    assert told.sum() == known.sum()
    assert epoch_of(make(kind, rows, 7, pairwise=pairwise))[0].known_positive is None
