"""False-positive metrics and variety, derived by hand; their intervals and tests."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import stats

from tfadt.data.interactions import CSR, Interactions
from tfadt.errors import DataError
from tfadt.evaluation.false_positives import false_share, false_share_interval, false_share_values
from tfadt.evaluation.metrics import anti_precision, novelty
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.evaluation.significance import holm, mean_interval, mean_over_seeds, paired_test


class Fixed:
    """A scorer that ranks items 0, 1, 2 ... for everybody."""

    def __init__(self, num_users, num_items):
        self.num_users, self.num_items = num_users, num_items

    def score_users(self, users):
        return tf.tile(-tf.range(self.num_items, dtype=tf.float32)[None], [tf.size(users), 1])


def pairs(*found):
    return Interactions(*(np.array([pair[side] for pair in found], np.int64) for side in (0, 1)))


NOTHING_SEEN = CSR(np.zeros(5, np.int64), np.array([], np.int64))
# The best four items of all four users are 0, 1, 2, 3. User 3 is known by what it dislikes alone.
LIKED = pairs((0, 0), (0, 9), (1, 1), (1, 2), (2, 8))
DISLIKED = pairs((0, 2), (1, 0), (1, 9), (3, 1), (3, 3))
CLICKS = np.array([4, 2, 1, 1, 1, 1, 1, 1, 1, 0])


def evaluate(ks=(4,), disliked=DISLIKED, **settings):
    return RankingEvaluator(LIKED, NOTHING_SEEN, ks, disliked=disliked, clicks=CLICKS, **settings)(Fixed(4, 10))


def test_anti_precision_and_false_share_count_every_user_with_a_judgement():
    evaluation = evaluate()
    # g = 1, 2, 0, 0 and b = 1, 1, 0, 2 among four.
    assert evaluation.per_user["user"].tolist() == [0, 1, 2, 3]
    assert evaluation.per_user["anti_precision@4"].tolist() == [0.25, 0.25, 0.0, 0.5]
    assert evaluation.metrics["anti_precision@4"] == 0.25
    assert evaluation.metrics["false_share@4"] == 4 / 7
    # Users of whom nothing liked is known have no recall, and do not change that of others.
    assert evaluation.metrics["recall@4"] == pytest.approx((0.5 + 1.0 + 0.0) / 3)
    assert np.isnan(evaluation.per_user["recall@4"][3])
    assert evaluation.per_user["activity_group"].tolist()[3] == -1
    plain = evaluate(disliked=None)
    assert plain.per_user["user"].tolist() == [0, 1, 2]
    shared = {name: value for name, value in evaluation.metrics.items() if "false" not in name and "anti" not in name}
    assert plain.metrics == shared
    assert plain.by_group("recall@4") == evaluation.by_group("recall@4")


def test_cut_offs_are_apart():
    metrics = evaluate(ks=(1, 2)).metrics
    assert metrics["anti_precision@1"] == 0.25
    assert metrics["false_share@1"] == 1 / 2  # user 0 likes item 0, user 1 dislikes it
    assert metrics["false_share@2"] == 2 / 4


def test_novelty_is_bits_of_surprise():
    # Items 0 to 3 were clicked by 4, 2, 1 and 1 of four users: 0, 1, 2 and 2 bits.
    assert evaluate().metrics["novelty@4"] == pytest.approx(5 / 4)
    assert evaluate(ks=(2,)).metrics["novelty@2"] == pytest.approx(1 / 2)
    top = np.array([[0, 3, -1], [-1, -1, -1]])
    assert novelty(top, CLICKS.clip(0.5) / 4, (3,))["novelty@3"].tolist() == [1.0, 0.0]
    # An item that nobody clicked counts as if half a user had.
    assert novelty(np.array([[9]]), CLICKS.clip(0.5) / 4, (1,))["novelty@1"].tolist() == [3.0]


def test_padding_is_no_hit():
    lists = CSR(np.array([0, 1]), np.array([0]))
    assert anti_precision(np.array([[-1, -1]]), lists, 5, (2,))["anti_precision@2"].tolist() == [0.0]


def test_users_of_whom_only_dislikes_are_known_are_ranked_within_all_bounds():
    outside = pairs((0, 12))
    with pytest.raises(DataError, match="at least 13 items"):
        evaluate(disliked=outside)


def frame(disliked, liked, k=10):
    columns = {"anti_precision": disliked, "precision": liked}
    return pd.DataFrame({"user": np.arange(len(disliked)), **{f"{n}@{k}": np.asarray(v) / k for n, v in columns.items()}})


def test_values_of_users_average_to_the_share_and_their_error_is_that_of_the_ratio():
    rng = np.random.default_rng(0)
    disliked, liked = rng.poisson(0.3, 5000), rng.poisson(2.0, 5000)
    users = frame(disliked, liked)
    values = false_share_values(users, 10)
    assert values.mean() == pytest.approx(false_share(users, 10)) == pytest.approx(disliked.sum() / (disliked + liked).sum())
    # Against the spread of the share over samples that are drawn anew.
    draws = rng.poisson(0.3, (2000, 5000)).sum(1), rng.poisson(2.0, (2000, 5000)).sum(1)
    spread = (draws[0] / (draws[0] + draws[1])).std()
    assert values.std(ddof=1) / np.sqrt(5000) == pytest.approx(spread, rel=0.1)
    low, high = false_share_interval([users], 10)
    assert (high - low) / (2 * 1.96) == pytest.approx(spread, rel=0.1)
    assert low < values.mean() < high


def test_the_interval_of_several_seeds_is_of_their_sums_and_repeats():
    one, two = frame([1, 0, 2], [3, 1, 1]), frame([0, 0, 2], [2, 1, 3])
    both = frame([1, 0, 4], [5, 2, 4])
    assert false_share_interval([one, two], 10) == false_share_interval([both], 10) == false_share_interval([both], 10)
    assert false_share_interval([frame([0, 0], [0, 0])], 10) == (0.0, 0.0)


def test_a_missing_liked_item_is_no_liked_hit():
    users = frame([1, 1], [3, np.nan])
    assert false_share(users, 10) == 2 / 5


def test_seeds_are_averaged_and_users_without_the_metric_left_out():
    one, two = frame([1, 0, 2], [3, 1, np.nan]), frame([0, 0, 2], [2, 1, np.nan])
    shares = [false_share(each, 10) for each in (one, two)]
    assert mean_over_seeds([one, two], "false_share@10").mean() == pytest.approx(np.mean(shares))
    precision = mean_over_seeds([one, two], "precision@10")
    assert precision[:2] == pytest.approx([0.25, 0.1])
    assert np.isnan(precision[2])
    test = paired_test(precision, np.array([0.05, 0.2, 0.3]))
    assert (test.users, test.difference) == (2, pytest.approx(0.05))


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(1).uniform(size=50)
    expected = stats.t.interval(0.95, 49, values.mean(), stats.sem(values))
    assert mean_interval(np.append(values, np.nan)) == pytest.approx(expected)


def test_holm_by_hand():
    # Sorted: .01 * 4, .02 * 3, .03 * 2 (not below the .06 before it), .5 * 1.
    assert holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
