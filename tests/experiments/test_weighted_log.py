"""Weighted clicks in the formats of other recommenders, and a log without those that are left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from tfadt.config import ADTConfig
from tfadt.config.loading import load_config
from tfadt.data.ingest import ingest
from tfadt.denoising.noise_model import NoiseModel
from tfadt.denoising.noise_weights import NoiseWeights
from tfadt.denoising.truncated import TCE
from tfadt.errors import ConfigError
from tfadt.experiments.clean import SHARES, clean_rows
from tfadt.experiments.denoise import noise_scores
from tfadt.experiments.weighted_log import write_weighted
from tfadt.models.noise_ranked import NoiseRanked
from tfadt.training.plan import make_model

SCORES = pd.DataFrame({"user_id": ["a", "a", "c"], "item_id": [7, 9, 7], "weight": np.float32([0.5, 1.5, 0.0])})
SMALL = [
    "ingest.simulated.users=150",
    "ingest.simulated.items=60",
    "ingest.simulated.interactions=4000",
    "ingest.extra_feedback.share=0.4",
    "model.gmf.embedding_dim=8",
]


def test_rows_of_a_weight_above_zero_are_written_in_each_format(tmp_path) -> None:
    write_weighted(SCORES, "recbole", tmp_path / "log.inter")
    assert (tmp_path / "log.inter").read_text() == "user_id:token\titem_id:token\tweight:float\na\t7\t0.5\na\t9\t1.5\n"
    write_weighted(SCORES, "parquet", tmp_path / "log.parquet")
    assert pd.read_parquet(tmp_path / "log.parquet")["weight"].tolist() == [0.5, 1.5]
    write_weighted(SCORES, "implicit", tmp_path / "log")
    assert sp.load_npz(tmp_path / "log").toarray().tolist() == [[0.5, 1.5]]
    with np.load(tmp_path / "log", allow_pickle=False) as file:
        assert (file["user_id"].tolist(), file["item_id"].tolist()) == (["a"], [7, 9])


@pytest.mark.filterwarnings("ignore:OpenBLAS is configured")
def test_the_package_implicit_trains_on_the_weights(tmp_path) -> None:
    als = pytest.importorskip("implicit.als")
    # Users like the items as even or odd as they are; all clicked item 1, the even ones by mistake.
    pairs = [(user, item) for user in range(12) for item in range(6) if (user - item) % 2 == 0 or item == 1]
    scores = pd.DataFrame(pairs, columns=["user_id", "item_id"])
    scores["weight"] = np.where((scores["user_id"] - scores["item_id"]) % 2, 0.05, 1.0)
    write_weighted(scores, "implicit", tmp_path / "log")
    weighted = sp.load_npz(tmp_path / "log")
    mistaken = {}
    for name, log in (("weighted", weighted), ("plain", weighted.sign())):
        model = als.AlternatingLeastSquares(factors=2, regularization=0.1, iterations=10, random_state=0, num_threads=1)
        model.fit(log, show_progress=False)
        mistaken[name], liked = model.user_factors[0] @ model.item_factors[[1, 2]].T
        assert liked > 0.9
    assert mistaken["plain"] > 0.9
    assert mistaken["weighted"] < 0.7


def test_unknown_formats_and_policies_without_weights_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"Unknown format 'recbol'\. Did you mean 'recbole'"):
        write_weighted(SCORES, "recbol", tmp_path / "x")
    with pytest.raises(ConfigError, match="weighs rows by what training finds"):
        write_weighted(SCORES.drop(columns="weight"), "recbole", tmp_path / "x")


def test_the_rows_of_denoise_have_weight_probability_and_what_is_known() -> None:
    config = load_config(None, SMALL)
    data = ingest(config.ingest)
    model = make_model("gmf", 0, data, config)
    model.compile()
    noise = NoiseModel.fit(data.train, data.num_users, data.num_items)
    scores = noise_scores(model, data, ADTConfig(), NoiseWeights(2), None)
    p = noise.probabilities(data.train)
    np.testing.assert_array_equal(scores["false_positive_probability"], p)
    np.testing.assert_allclose(scores["weight"], (1 - p) ** 2 / ((1 - p) ** 2).mean(), rtol=1e-5)
    assert ((scores["known_feedback"] == "liked") == data.train.known_positive).all()
    assert ((scores["known_feedback"] == "disliked") == data.train.known_negative).all()
    assert "weight" not in noise_scores(model, data, ADTConfig(), TCE(), None)
    # A model that ranks with the noise model is judged by the loss that it was trained with.
    ranked = noise_scores(NoiseRanked(model, 1.0, scale="probabilities"), data, ADTConfig(), NoiseWeights(2), None)
    pd.testing.assert_frame_equal(ranked, scores)


def test_a_clean_log_leaves_out_the_clicks_of_the_largest_p() -> None:
    config = load_config(None, [*SMALL, "model.ease.lambda_=50", "denoising.max_recall_loss=0.5", "evaluate.k=20"])
    data = ingest(config.ingest)
    stays, why = clean_rows("ease", 0, data, config)
    p = NoiseModel.fit(data.train, data.num_users, data.num_items).probabilities(data.train)
    left_out = (~stays).mean()
    assert left_out == pytest.approx(min(SHARES, key=lambda share: abs(share - left_out)), abs=1e-3)
    assert left_out > 0
    assert p[~stays].min() >= p[stays].max()
    assert why.startswith(f"{left_out:.0%} of the clicks left out: ")
