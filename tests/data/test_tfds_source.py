"""TensorFlow Datasets as a source; imports TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfadt.config import Columns, IngestConfig, Split
from tfadt.data.ingest import ingest
from tfadt.errors import DataError

tfds = pytest.importorskip("tensorflow_datasets")
tf = pytest.importorskip("tensorflow")


def movielens(self: object, split: str = "train", **kwargs: object) -> object:
    """100 ratings of 10 users, with the features of `movielens/100k-ratings` that matter here."""
    rng = np.random.default_rng(0)
    pairs = rng.choice(200, 100, replace=False)
    return tf.data.Dataset.from_tensor_slices(
        {
            "user_id": np.array([str(pair // 20) for pair in pairs], dtype=object),
            "movie_id": np.array([str(pair % 20) for pair in pairs], dtype=object),
            "user_rating": rng.integers(1, 6, 100).astype(np.float32),
            "timestamp": np.arange(100),
        }
    )


def test_movielens_features_are_found_by_the_default_columns() -> None:
    with tfds.testing.mock_data(as_dataset_fn=movielens):
        data = ingest(IngestConfig(dataset="movielens/100k-ratings", split=Split(test=0.3), clean_test=False))
    rows = data.manifest["rows"]
    assert rows["in"] == 100
    assert sum(rows["kept"].values()) + sum(rows["rejected"].values()) == 100
    assert data.users.ids.dtype == np.int64
    assert data.users.ids.tolist() == list(range(10))
    assert data.manifest["feedback"]["rule"] == "rating"
    assert data.manifest["source"]["name"] == "movielens/100k-ratings"


def test_a_configured_feature_that_is_missing_names_those_that_exist() -> None:
    with (
        tfds.testing.mock_data(as_dataset_fn=movielens),
        pytest.raises(DataError, match=r"no column 'movie_idd'.*user_rating.*Did you mean 'movie_id'"),
    ):
        ingest(IngestConfig(dataset="movielens/100k-ratings", columns=Columns(item="movie_idd")))


def test_an_unknown_data_set_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no_such_set_anywhere"):
        ingest(IngestConfig(dataset="no_such_set_anywhere"))


def test_a_data_set_that_cannot_be_downloaded_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(self: object, *args: object, **kwargs: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    with pytest.raises(DataError, match=r"movielens/100k-ratings cannot be prepared.*no route to host"):
        ingest(IngestConfig(dataset="movielens/100k-ratings"))
