"""Ranking metrics against the method authors' own."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfadt.data.interactions import CSR, Interactions
from tfadt.evaluation.ranking import RankingEvaluator

CASES = json.loads((Path(__file__).parents[1] / "golden" / "ranking.json").read_text())


class Fixed:
    """A scorer with given scores."""

    def __init__(self, scores):
        self.scores = tf.constant(scores, tf.float32)
        self.num_users, self.num_items = self.scores.shape

    def score_users(self, users):
        return tf.gather(self.scores, users)


def pairs(lists):
    user = np.repeat(np.arange(len(lists)), [len(items) for items in lists])
    return user, np.array([i for items in lists for i in items], np.int64)


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
@pytest.mark.parametrize("block", [1, 4, None])
def test_metrics_match_the_authors_code(case, block):
    scorer = Fixed(case["scores"])
    seen = CSR.from_pairs(*pairs(case["seen"]), scorer.num_users, scorer.num_items)
    result = RankingEvaluator(Interactions(*pairs(case["test"])), seen, case["k"], block=block)(scorer)
    for name in ("recall", "ndcg", "precision", "mrr"):
        for k, expected in zip(case["k"], case[name], strict=True):
            assert result.metrics[f"{name}@{k}"] == pytest.approx(expected, abs=1e-6), (name, k)
