"""Full ranking, and the way from a file to the first step."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

import tfadt
from benchmarks.baselines import implicit_recommend
from benchmarks.clicks import ADRESSA, AMAZON_BOOK, YELP, clicks
from benchmarks.engine import stepping
from benchmarks.figures import Figure, cost, interleaved, speed_up
from tfadt.config.loading import load_config, settings_of
from tfadt.evaluation.ranking import Ranker, Scorer
from tfadt.models.gmf import GMF
from tfadt.models.neumf import NeuMF
from tfadt.models.popular import Popular
from tfadt.models.recommender import Recommender
from tfadt.training.selection import selection_score

_K = 50
_MICRO = 1e6


class _Unsplit:
    """NeuMF with its first layer computed pair by pair."""

    def __init__(self, model: NeuMF):
        self._model, self.num_users, self.num_items = model, model.num_users, model.num_items

    def score_users(self, users: tf.Tensor) -> tf.Tensor:
        items = tf.range(self.num_items, dtype=tf.int64)
        return tf.map_fn(
            lambda user: self._model((tf.fill([self.num_items], user), items)), users, fn_output_signature=tf.float32
        )


class _WholeRows:
    """NeuMF with the activations of all items of a user at once."""

    def __init__(self, model: NeuMF):
        self._model, self.num_users, self.num_items = model, model.num_users, model.num_items

    def score_users(self, users: tf.Tensor) -> tf.Tensor:
        model, d = self._model, self._model.embedding_dim
        user, item = tf.gather(model.user_table.value, users), model.item_table.value
        from_user = tf.matmul(user[:, d:], model.mlp_kernels[0][: 4 * d]) + model.mlp_biases[0]
        from_item = tf.matmul(item[:, d:], model.mlp_kernels[0][4 * d :])
        gmf = tf.matmul(user[:, :d] * model.output_kernel[:d, 0], item[:, :d], transpose_b=True)

        def mlp(one_user: tf.Tensor) -> tf.Tensor:
            hidden = tf.nn.relu(from_item + one_user)
            for kernel, bias in zip(model.mlp_kernels[1:], model.mlp_biases[1:], strict=True):
                hidden = tf.nn.relu(tf.matmul(hidden, kernel) + bias)
            return tf.linalg.matvec(hidden, model.output_kernel[d:, 0])

        return gmf + tf.map_fn(mlp, from_user) + model.output_bias


def ranking() -> list[Figure]:
    """GMF against one user a call and against its bare matrix product; NeuMF against the unsplit first layer."""
    data = clicks(*ADRESSA)
    gmf, neumf = GMF.from_interactions(data), NeuMF.from_interactions(data)
    seen = data.history()
    many = np.arange(20_000)
    ranker = Ranker(gmf, _K, seen)
    block = ranker.block

    @tf.function(input_signature=[tf.TensorSpec([None, 32]), tf.TensorSpec([None, 32])])
    def bare(users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return tf.math.top_k(tf.matmul(users, items, transpose_b=True), _K)[1]

    def bare_ranking() -> int:
        users, items = gmf.user_table.value, gmf.item_table.value
        for first in range(0, len(many), block):
            bare(users[first : first + block], items)
        return len(many)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64)])
    def score(user: tf.Tensor) -> tf.Tensor:
        return gmf((tf.fill([gmf.num_items], user), tf.range(gmf.num_items, dtype=tf.int64)))

    def one_by_one(users: int = 100) -> int:
        for user in range(users):
            scores = score(tf.constant(user, tf.int64)).numpy()
            scores[seen.items[seen.offsets[user] : seen.offsets[user + 1]]] = -np.inf
            tf.math.top_k(scores, _K)
        return users

    def rank(with_: Ranker, users: np.ndarray) -> int:
        with_(users)
        return len(users)

    best = interleaved({"blocks": lambda: rank(ranker, many), "one": one_by_one, "bare": bare_ranking}, 5)
    line = "gmf full ranking, 6,596 items"
    figures = [
        speed_up(line, "us/user", best["blocks"] * _MICRO, "one user a call", best["one"] * _MICRO, 8.0, 20.0),
        cost(line, "us/user", best["blocks"] * _MICRO, "matrix product and top-k", best["bare"] * _MICRO, 1.5, 1.2),
    ]
    split, unsplit = Ranker(neumf, _K, seen), Ranker(_Unsplit(neumf), _K, seen, block=8)
    best = interleaved({"split": lambda: rank(split, many[:64]), "unsplit": lambda: rank(unsplit, many[:16])}, 5)
    figures.append(
        speed_up(
            "neumf full ranking, 6,596 items",
            "us/user",
            best["split"] * _MICRO,
            "unsplit first layer",
            best["unsplit"] * _MICRO,
            2.5,
            4.0,
        )
    )
    return figures


class _Scores:
    """The scores of a model, for a ranking that sorts them."""

    def __init__(self, model: Recommender):
        self.num_users, self.num_items, self.score_users = model.num_users, model.num_items, model.score_users


def catalogue() -> list[Figure]:
    """Rankings of 57,396 items: GMF against the package `implicit`, NeuMF against whole rows, popularity against a sort."""
    data = clicks(*YELP)
    seen, everybody = data.history(), np.arange(data.num_users)

    def ranked(scorer: Scorer, users: np.ndarray) -> Callable[[], int]:
        ranker = Ranker(scorer, _K, seen)

        def work() -> int:
            ranker(users)
            return len(users)

        return work

    figures = []
    gmf, many = GMF.from_interactions(data), everybody[:4096]
    if (recommend := implicit_recommend(gmf, seen, many, _K)) is not None:
        best = interleaved({"ours": ranked(gmf, many), "implicit": recommend}, 5)
        figures.append(
            speed_up(
                "gmf full ranking, 57,396 items",
                "us/user",
                best["ours"] * _MICRO,
                "implicit's recommend",
                best["implicit"] * _MICRO,
                1.3,
            )
        )
    few = everybody[:32]
    neumf = NeuMF.from_interactions(data)
    best = interleaved({"tiles": ranked(neumf, few), "rows": ranked(_WholeRows(neumf), few)}, 3)
    line = "neumf full ranking, 57,396 items"
    figures.append(speed_up(line, "us/user", best["tiles"] * _MICRO, "all items of a user at once", best["rows"] * _MICRO))
    popular = Popular.from_interactions(data)
    popular.fit_interactions(data.train)
    best = interleaved({"list": ranked(popular, everybody), "sort": ranked(_Scores(popular), many)}, 3)
    line = "popular full ranking, 57,396 items"
    figures.append(speed_up(line, "us/user", best["list"] * _MICRO, "sorting the scores", best["sort"] * _MICRO, 50.0))
    return figures


def validation() -> list[Figure]:
    """What NeuMF's validations of a log of a million rows take of an epoch, by default."""
    data = clicks(20_000, YELP[1], 1_000_000)
    held_out = clicks(20_000, YELP[1], 100_000, seed=1).train
    data = replace(data, valid=held_out)
    config = settings_of(load_config(), "neumf", "standard")
    model = NeuMF.from_interactions(data)
    model.compile(objective=config.adt.objective)
    rows = len(data.train) * (1 + config.adt.num_negatives) // config.adt.validations
    score = selection_score(model, data, config, model.negative_sampler(data), trained_rows=rows)
    assert score is not None

    def validate() -> int:
        score()
        return 1

    seconds = config.adt.validations * interleaved({"neumf": validate}, 1)["neumf"]
    line = f"neumf validations of an epoch, {len(data.train):,} rows, {data.num_items:,} items"
    return [Figure(line, seconds, "s", "", None, seconds, 120.0, False)]


def preparation() -> list[Figure]:
    """2.7 million rows of Parquet, read, checked, split and encoded, up to the end of the first step."""
    data = clicks(*AMAZON_BOOK)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clicks.parquet"
        rng = np.random.default_rng(0)
        pd.DataFrame(
            {"user_id": data.train.user, "item_id": data.train.item, "rating": rng.integers(1, 6, len(data.train))}
        ).to_parquet(path, index=False)
        seconds = []
        for _ in range(3):
            begun = time.perf_counter()
            stepping("gmf", tfadt.ingest(tfadt.IngestConfig(data=path)), 1)()
            seconds.append(time.perf_counter() - begun)
    line = f"{len(data.train):,} rows of Parquet to the first step"
    return [Figure(line, min(seconds), "s", "", None, min(seconds), 5.0, False, 2.0)]
