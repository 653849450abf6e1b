"""Full ranking: order, masks, blocks and the evaluation of a split."""

import gc
import math
import weakref

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import EXAMPLES

from tfadt.data.interactions import CSR, Interactions
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation import ranking
from tfadt.evaluation.kept import KeptBlocks
from tfadt.evaluation.ranking import Ranker, RankingEvaluator, block_size, rank


class Counted:
    """A scorer with given scores, that may change, and a count of how often it was traced."""

    def __init__(self, scores):
        self.scores = tf.Variable(scores, dtype=tf.float32)
        self.num_users, self.num_items = self.scores.shape
        self.traces = 0

    def score_users(self, users):
        self.traces += 1
        return tf.gather(self.scores, users)


def csr(lists, num_items):
    user = np.repeat(np.arange(len(lists)), [len(items) for items in lists])
    return CSR.from_pairs(user, np.array([i for items in lists for i in items], np.int64), len(lists), num_items)


def split(*pairs):
    return Interactions(np.array([u for u, _ in pairs], np.int64), np.array([i for _, i in pairs], np.int64))


# The best items of user 0 are 3, 1, 0, 2; of user 1 they are 0, 1, 2, 3; of user 2 they are 2, 3, 0, 1.
SCORES = [[0.2, 0.3, 0.1, 0.4], [0.9, 0.8, 0.7, 0.6], [-3.0, -4.0, -1.0, -2.0]]


def test_items_come_best_first_with_their_scores():
    items, scores = rank(Counted(SCORES), np.array([2, 0]), 2)
    assert items.tolist() == [[2, 3], [3, 1]]
    assert scores == pytest.approx(np.array([[-1.0, -2.0], [0.4, 0.3]]))
    assert (items.dtype, scores.dtype) == (np.int64, np.float32)


def test_excluded_items_are_left_out_and_short_rankings_padded():
    items, scores = rank(Counted(SCORES), np.arange(3), 3, csr([[3], [], [0, 1, 2, 3]], 4))
    assert items.tolist() == [[1, 0, 2], [0, 1, 2], [-1, -1, -1]]
    assert np.isneginf(scores).tolist() == [[False] * 3, [False] * 3, [True] * 3]


def test_more_than_the_catalogue_is_padded():
    items, scores = rank(Counted(SCORES), np.array([1]), 6, csr([[], [1], []], 4))
    assert items.tolist() == [[0, 2, 3, -1, -1, -1]]
    assert scores.shape == (1, 6)


def test_nobody_excludes_anything():
    assert rank(Counted(SCORES), np.array([0]), 1, csr([[], [], []], 4)).items.tolist() == [[3]]


def test_no_users_give_no_rankings():
    assert rank(Counted(SCORES), np.array([], np.int64), 2).items.shape == (0, 2)


def test_equal_scores_go_by_item_code():
    assert rank(Counted(np.zeros((2, 50))), np.array([0, 1]), 4).items.tolist() == [[0, 1, 2, 3]] * 2


def test_blocks_of_any_size_are_traced_once_and_see_new_weights():
    scorer = Counted(np.tile(SCORES, (4, 1)))
    ranker = Ranker(scorer, 2, block=5)
    users = np.arange(12)  # Blocks of 5, 5 and 2.
    first = ranker(users)
    assert first.items.tolist() == [[3, 1], [0, 1], [2, 3]] * 4
    scorer.scores.assign(-scorer.scores)
    assert ranker(users).items.tolist() == [[2, 0], [3, 2], [1, 0]] * 4
    ranker(users[:1])
    assert scorer.traces == 1


@pytest.mark.parametrize(("k", "block"), [(0, None), (2, 0)])
def test_sizes_below_one_are_refused(k, block):
    with pytest.raises(ConfigError, match="at least 1"):
        rank(Counted(SCORES), np.array([0]), k, block=block)


@pytest.mark.parametrize("items", [slice(None), 2], ids=["every item", "one item, which top_k would put last"])
@pytest.mark.parametrize("block", [1, None])
def test_scores_that_are_not_numbers_are_refused(items, block):
    scores = np.array(SCORES)
    scores[1, items] = np.nan
    with pytest.raises(DataError, match="NaN for user code 1"):
        rank(Counted(scores), np.arange(3), 2, block=block)


@st.composite
def scored(draw):
    num_users, num_items = draw(st.integers(1, 7)), draw(st.integers(1, 9))
    # Few distinct values, so that ties are common.
    rows = st.lists(st.integers(-2, 2), min_size=num_items, max_size=num_items)
    scores = draw(st.lists(rows, min_size=num_users, max_size=num_users))
    seen = draw(st.lists(st.sets(st.integers(0, num_items - 1)), min_size=num_users, max_size=num_users))
    return scores, seen, draw(st.integers(1, 11)), draw(st.integers(1, 8))


@settings(max_examples=EXAMPLES, deadline=None)
@given(scored())
def test_equals_one_sort_a_user(case):
    scores, seen, k, block = case
    items = rank(Counted(scores), np.arange(len(scores)), k, csr(seen, len(scores[0])), block).items
    for row, (values, out) in enumerate(zip(scores, seen, strict=True)):
        left = sorted((i for i in range(len(values)) if i not in out), key=lambda i: (-values[i], i))[:k]
        assert items[row].tolist() == left + [-1] * (k - len(left))


def test_a_block_of_scores_fills_16_mb(monkeypatch):
    monkeypatch.setattr(ranking, "available_memory", lambda: 8 << 30)
    assert block_size(1 << 14) == 256
    monkeypatch.setattr(ranking, "available_memory", lambda: None)
    assert block_size(1 << 14) == 256


def test_a_block_takes_a_quarter_of_scarce_memory_and_at_least_one_user(monkeypatch):
    monkeypatch.setattr(ranking, "available_memory", lambda: 16 << 20)
    assert block_size(1 << 14) == 64
    assert block_size(1 << 28) == 1


# ---------------------------------------------------------------- the evaluation of a split


SEEN = csr([[3], [0, 3], []], 4)
# With seen items left out, user 0 gets 1, 0, 2 and user 1 gets 1, 2; user 2 is not in the split.
SPLIT = split((0, 0), (0, 2), (1, 1))


def test_evaluation_by_hand():
    result = RankingEvaluator(SPLIT, SEEN, (1, 2))(Counted(SCORES))
    ndcg = (1 / math.log2(3)) / (1 + 1 / math.log2(3))
    expected = {
        "recall@1": (0 + 1) / 2,
        "recall@2": (1 / 2 + 1) / 2,
        "ndcg@1": (0 + 1) / 2,
        "ndcg@2": (ndcg + 1) / 2,
        "precision@1": (0 + 1) / 2,
        "precision@2": (1 / 2 + 1 / 2) / 2,
        "mrr@1": (0 + 1) / 2,
        "mrr@2": (1 / 2 + 1) / 2,
        "hit@1": (0 + 1) / 2,
        "hit@2": 1.0,
        "coverage@1": 1 / 4,  # Item 1 for both.
        "coverage@2": 3 / 4,  # Items 0, 1 and 2.
    }
    assert result.metrics == pytest.approx(expected)


def test_per_user_values_survive_parquet(tmp_path):
    result = RankingEvaluator(SPLIT, SEEN, (2,))(Counted(SCORES))
    result.per_user.to_parquet(tmp_path / "users.parquet")
    frame = pd.read_parquet(tmp_path / "users.parquet")
    names = [f"{name}@2" for name in ("recall", "ndcg", "precision", "mrr", "hit")]
    assert list(frame.columns) == ["user", "train_interactions", "activity_group", *names]
    assert frame["user"].tolist() == [0, 1]
    assert frame["train_interactions"].tolist() == [1, 2]
    assert frame["recall@2"].tolist() == [0.5, 1.0]


def test_activity_may_differ_from_what_is_excluded():
    result = RankingEvaluator(SPLIT, SEEN, (2,), activity=np.array([9, 1, 5]))(Counted(SCORES))
    assert result.per_user["train_interactions"].tolist() == [9, 1]
    assert result.per_user["activity_group"].tolist() == [2, 0]
    # User 0 alone in group 2, user 1 alone in group 0.
    assert result.by_group("recall@2") == [1.0, None, 0.5, None]


def test_recall_is_the_first_cut_off_of_the_full_evaluation():
    evaluator, scorer = RankingEvaluator(SPLIT, SEEN, (2, 1)), Counted(SCORES)
    assert evaluator.recall(scorer) == evaluator(scorer).metrics["recall@2"] == 0.75


def test_a_ranking_tells_how_far_it_is_after_each_block():
    told: list[tuple[int, int]] = []
    for block in (1, 2, 9):
        RankingEvaluator(SPLIT, SEEN, (2,), block=block).recall(Counted(SCORES), lambda *place: told.append(place))
    assert told == [(1, 2), (2, 2), (2, 2), (2, 2)]


def test_a_pair_given_twice_counts_once():
    twice = split((0, 2), (0, 0), (0, 2), (1, 1))
    assert RankingEvaluator(twice, SEEN, (2,)).recall(Counted(SCORES)) == 0.75


def test_users_with_nothing_to_rank_count_unless_dropped():
    masked = split((0, 0), (0, 3), (1, 0))  # (0, 3) and (1, 0) are seen.
    assert RankingEvaluator(masked, SEEN, (2,)).recall(Counted(SCORES)) == (1 / 2 + 0) / 2
    evaluator = RankingEvaluator(masked, SEEN, (2,), drop_empty=True)
    assert evaluator.users.tolist() == [0]
    assert evaluator.recall(Counted(SCORES)) == 1 / 2


def test_repeated_evaluation_of_a_model_traces_once_and_sees_new_weights():
    evaluator, scorer = RankingEvaluator(SPLIT, SEEN, (2,), block=1), Counted(SCORES)
    values = [evaluator.recall(scorer)]
    scorer.scores.assign([[0.1, 0.2, 0.3, 0.4], [0.9, 0.8, 0.7, 0.6], [0.0] * 4])  # User 0 now gets 2, 1.
    values.append(evaluator.recall(scorer))
    scorer.scores.assign([[0.2, 0.1, 0.3, 0.4], [0.9, 0.8, 0.7, 0.6], [0.0] * 4])  # User 0 now gets 2, 0.
    values.append(evaluator(scorer).metrics["recall@2"])
    assert values == [0.75, 0.75, 1.0]
    assert scorer.traces == 1


def test_models_in_turn_are_traced_once_each():
    evaluator, models = RankingEvaluator(SPLIT, SEEN, (1,)), [Counted(SCORES), Counted(np.negative(SCORES))]
    assert [evaluator.recall(model) for model in models * 2] == [0.5, 0.25, 0.5, 0.25]
    assert [model.traces for model in models] == [1, 1]


def test_an_evaluated_model_is_not_kept_alive():
    evaluator, scorer = RankingEvaluator(SPLIT, SEEN, (1,)), Counted(SCORES)
    evaluator.recall(scorer)
    model, table = weakref.ref(scorer), weakref.ref(scorer.scores)
    del scorer
    gc.collect()
    assert model() is None
    assert table() is None


def test_an_empty_split_is_refused():
    with pytest.raises(DataError, match="at least one user"):
        RankingEvaluator(split(), SEEN, (1,))
    with pytest.raises(DataError, match="at least one user"):
        RankingEvaluator(split((0, 3)), SEEN, (1,), drop_empty=True)


@pytest.mark.parametrize("ks", [(), (0, 5)])
def test_cut_offs_below_one_are_refused(ks):
    with pytest.raises(ConfigError, match="Cut-offs"):
        RankingEvaluator(SPLIT, SEEN, ks)


def test_a_user_beyond_the_histories_is_refused():
    with pytest.raises(DataError, match=r"below 3.*Received: 7"):
        RankingEvaluator(split((7, 0)), SEEN, (1,))


@pytest.mark.parametrize("shape", [(2, 4), (3, 3)])
def test_a_model_of_another_size_is_refused(shape):
    with pytest.raises(DataError, match="3 users and at least 4 items"):
        RankingEvaluator(SPLIT, SEEN, (1,))(Counted(np.zeros(shape)))


# ---------------------------------------------------------------- a ranking that is cut goes on

MANY = np.random.default_rng(0).normal(size=(11, 6)).astype(np.float32)  # blocks of 3, 3, 3 and 2


def ranked(kept, after=99, scores=MANY, exclude=None):
    """Ranks all users, or stops when so many are ranked; returns the ranking and the numbers that were told."""
    numbers = []

    def told(users, total):
        numbers.append(users)
        if users == after:
            raise KeyboardInterrupt

    try:
        return Ranker(Counted(scores), 2, exclude, block=3)(np.arange(11), told, kept), numbers
    except KeyboardInterrupt:
        return None, numbers


def test_a_ranking_that_was_cut_goes_on_behind_the_last_whole_block(tmp_path):
    path = tmp_path / "made" / "ranking"
    whole = rank(Counted(MANY), np.arange(11), 2)
    assert ranked(KeptBlocks(path, lambda: b"a"), after=6) == (None, [3, 6])
    with path.open("ab") as file:
        file.write(b"half a block")
    assert ranked(KeptBlocks(path, lambda: b"a"), after=9) == (None, [9])
    found, numbers = ranked(KeptBlocks(path, lambda: b"a"))
    assert numbers == [11]
    np.testing.assert_array_equal(found.items, whole.items)
    np.testing.assert_array_equal(found.scores, whole.scores)


def test_blocks_of_another_ranking_are_not_taken(tmp_path):
    path = tmp_path / "ranking"
    seen = csr([[0]] * 11, 6)
    for fingerprint, scores, exclude in ((b"a", MANY, None), (b"b", -MANY, None), (b"b", -MANY, seen)):
        found, numbers = ranked(KeptBlocks(path, lambda: fingerprint), scores=scores, exclude=exclude)  # noqa: B023
        assert numbers == [3, 6, 9, 11]
        np.testing.assert_array_equal(found.items, rank(Counted(scores), np.arange(11), 2, exclude).items)


def test_a_damaged_block_and_those_behind_it_are_ranked_again(tmp_path):
    path = tmp_path / "ranking"
    ranked(KeptBlocks(path, lambda: b"a"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # in the second of three blocks
    path.write_bytes(content)
    found, numbers = ranked(KeptBlocks(path, lambda: b"a"))
    assert numbers == [6, 9, 11]
    np.testing.assert_array_equal(found.items, rank(Counted(MANY), np.arange(11), 2).items)


def test_a_ranking_of_one_block_is_not_kept_and_a_full_disk_does_not_stop_one(tmp_path):
    Ranker(Counted(MANY), 2)(np.arange(11), kept=KeptBlocks(tmp_path / "ranking", lambda: b"a"))
    assert not (tmp_path / "ranking").exists()
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match=r"file/ranking cannot be written: .*\. The ranking goes on"):
        found, numbers = ranked(KeptBlocks(tmp_path / "file" / "ranking", lambda: b"a"))
    assert numbers == [3, 6, 9, 11]
    np.testing.assert_array_equal(found.items, rank(Counted(MANY), np.arange(11), 2).items)
