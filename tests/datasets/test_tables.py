"""TensorFlow Datasets as a source; imports TensorFlow."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import tfadt
from tfadt.config.ingest import Columns, Feedback, IngestConfig, Split
from tfadt.data.ingest import ingest
from tfadt.errors import DataError

tfds = pytest.importorskip("tensorflow_datasets")
tf = pytest.importorskip("tensorflow")
from tfadt.datasets.tables import read_dataset  # noqa: E402

FOLDER = Path(tfadt.__file__).parent / "datasets"


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
            "user_gender": pairs % 2 == 0,
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


def test_the_features_of_use_come_under_their_own_names() -> None:
    with tfds.testing.mock_data(as_dataset_fn=movielens):
        ((split, (table, lost)),) = read_dataset("movielens/100k-ratings", Columns(extra_feedback="user_gender")).items()
    assert (split, lost) == ("", {})
    assert set(table.column_names) == {"user_id", "movie_id", "user_rating", "timestamp", "user_gender"}
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert types == {
        "user_id": "string",
        "movie_id": "string",
        "user_rating": "float",
        "timestamp": "int64",
        "user_gender": "bool",
    }


def test_a_feature_that_is_no_single_value_is_named() -> None:
    with (
        tfds.testing.mock_data(as_dataset_fn=movielens),
        pytest.raises(DataError, match=r"feature 'movie_genres' has shape \(None,\)\. Expected a single value"),
    ):
        ingest(IngestConfig(dataset="movielens/100k-ratings", columns=Columns(item="movie_genres")))


def test_text_that_is_none_is_refused() -> None:
    def broken(self: object, **kwargs: object) -> object:
        return movielens(self).map(lambda row: row | {"movie_id": tf.constant(b"\xe9")})

    with (
        tfds.testing.mock_data(as_dataset_fn=broken),
        pytest.raises(DataError, match=r"movielens/100k-ratings holds text that is not UTF-8"),
    ):
        ingest(IngestConfig(dataset="movielens/100k-ratings"))


def test_an_unknown_data_set_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no_such_set_anywhere"):
        ingest(IngestConfig(dataset="no_such_set_anywhere"))


def test_a_data_set_that_cannot_be_downloaded_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(self: object, *args: object, **kwargs: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    with pytest.raises(DataError, match=r"movielens/100k-ratings cannot be prepared.*no route to host"):
        ingest(IngestConfig(dataset="movielens/100k-ratings"))


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where TFDS puts what it prepares."""
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["adressa", "amazon_book", "yelp"])
def test_the_authors_files_are_the_same_data_by_either_way(name: str, data_dir: Path) -> None:
    manual = FOLDER / name / "dummy_data"
    data = ingest(IngestConfig(dataset=name, manual_dir=manual))
    files = ingest(IngestConfig(data=manual / name))
    assert (data_dir / name / "authors").is_dir()
    assert data.manifest["fingerprint"] == files.manifest["fingerprint"]
    assert data.manifest["split"] == {"method": "given"}
    assert data.manifest["counts"] == {"users": 6, "items": 8, "train": 19, "valid": 6, "test": 6, "test_disliked": 0}
    # Lines that the builder could not use are in the account, though no example tells of them.
    for key in ("in", "kept", "rejected"):
        assert data.manifest["rows"][key] == files.manifest["rows"][key]
    assert [(s["name"], s["split"], s["in"]) for s in data.manifest["rows"]["sources"]] == [
        (f"{name}[train]", "train", 21),
        (f"{name}[valid]", "valid", 6),
        (f"{name}[test]", "test", 6),
    ]


def test_a_data_set_of_one_split_is_a_log(data_dir: Path) -> None:
    manual = FOLDER / "adressa" / "dummy_data"
    data = ingest(IngestConfig(dataset="adressa/raw", manual_dir=manual, split=Split(test=0.3)))
    assert data.manifest["split"]["method"] == "random"
    assert data.manifest["rows"]["in"] == 35
    assert data.manifest["rows"]["rejected"]["item_id missing"] == 2
    assert data.manifest["feedback"]["rule"] == "false_positive"
    assert 0 < data.manifest["false_positive_share"]["train"] < 1
    # Now it is prepared: the files are not needed again, and a rule that is named reads the dwell times.
    strict = Feedback(rule="dwell_time", dwell_time_below=1000)
    data = ingest(IngestConfig(dataset="adressa/raw", feedback=strict, split=Split(test=0.3), clean_test=False))
    assert data.manifest["false_positive_share"]["train"] == 1.0


@pytest.mark.parametrize("name", ["adressa/raw", "adressa/raw:1.0.0", "yelp/raw"])
def test_a_build_of_other_files_is_refused(name: str, data_dir: Path, tmp_path: Path) -> None:
    dataset, _, _ = name.partition("/")
    config = IngestConfig(dataset=name, manual_dir=tmp_path / "manual", split=Split(test=0.3), clean_test=False)
    shutil.copytree(FOLDER / dataset / "dummy_data", tmp_path / "manual")
    before = ingest(config).manifest
    assert ingest(config).manifest["rows"] == before["rows"]
    changed = {"adressa": "one_week/20170102", "yelp": "yelp_academic_dataset_business.json"}[dataset]
    text = (tmp_path / "manual" / changed).read_text()
    (tmp_path / "manual" / changed).write_text(text + text.splitlines()[-1])
    build = data_dir / dataset / "raw" / "1.0.0"
    with pytest.raises(DataError, match=rf"^{build} was built from other .*: {tmp_path}/manual/{changed} differs\. Delete"):
        ingest(config)
    # Following the message gives what is there now; where no file is there, a build stands on its own.
    shutil.rmtree(build)
    assert ingest(config).manifest["rows"]["in"] == before["rows"]["in"] + (dataset == "adressa")
    shutil.rmtree(tmp_path / "manual")
    ingest(config)


def test_a_build_of_more_or_fewer_files_is_refused(data_dir: Path, tmp_path: Path) -> None:
    config = IngestConfig(dataset="adressa/raw", manual_dir=tmp_path / "manual", split=Split(test=0.3))
    shutil.copytree(FOLDER / "adressa" / "dummy_data", tmp_path / "manual")
    ingest(config)
    days = tmp_path / "manual" / "one_week"
    shutil.copy(days / "20170102", days / "20170103")
    with pytest.raises(DataError, match=r"one_week/20170103 was not among them\. Delete"):
        ingest(config)
    (days / "20170103").unlink()
    (days / "20170101").unlink()
    with pytest.raises(DataError, match=r"20170101 is missing in .*one_week\. Delete"):
        ingest(config)


def test_the_same_files_in_another_place_are_the_same(data_dir: Path, tmp_path: Path) -> None:
    first = ingest(IngestConfig(dataset="yelp", manual_dir=FOLDER / "yelp" / "dummy_data"))
    shutil.copytree(FOLDER / "yelp" / "dummy_data", tmp_path / "manual" / "yelp")
    again = ingest(IngestConfig(dataset="yelp", manual_dir=tmp_path / "manual"))
    assert again.manifest["fingerprint"] == first.manifest["fingerprint"]


def test_files_that_are_missing_are_told_in_the_builders_words(data_dir: Path) -> None:
    expected = r"manual does not exist or is empty\. Expected the files of yelp/authors: yelp\.train\.rating, yelp\.valid"
    with pytest.raises(DataError, match=rf"^Manual directory .*{expected}"):
        ingest(IngestConfig(dataset="yelp"))
