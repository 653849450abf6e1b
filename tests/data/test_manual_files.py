"""The files of our data sets, which a pipeline watches without TensorFlow Datasets."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tfadt
from tfadt.components.ingest import ingest
from tfadt.config.ingest import IngestConfig
from tfadt.data.ingest import source_files
from tfadt.errors import DataError
from tfadt.pipelines.pipeline import Pipeline
from tfadt.pipelines.planning import identities
from tfadt.pipelines.records import Digests

FOLDER = Path(tfadt.__file__).parent / "datasets"
AUTHORS = [".test.negative", ".train.rating", ".valid.rating"]
FILES = {
    "adressa": [f"adressa{suffix}" for suffix in AUTHORS],
    "adressa/authors": [f"adressa{suffix}" for suffix in AUTHORS],
    "adressa/raw": ["20170101", "20170102"],
    "Adressa/raw_beam:1.0.0": ["20170101", "20170102"],
    "amazon_book": [f"amazon_book{suffix}" for suffix in AUTHORS],
    "AmazonBook/raw": ["Books_5.json"],
    "yelp": [f"yelp{suffix}" for suffix in AUTHORS],
    "yelp/raw": ["yelp_academic_dataset_business.json", "yelp_academic_dataset_review.json"],
    "modcloth": ["df_modcloth.csv"],
    "modcloth/clothing_fit": ["modcloth_final_data.json"],
    "modcloth/deca": ["modcloth.test.noisy", "modcloth.train.rating", "modcloth.valid.rating"],
    "kuairec": ["big_matrix.csv"],
    "kuairec/small": ["small_matrix.csv"],
    "kuairand_pure": ["log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv"],
    "kuairand_pure/random": ["log_random_4_22_to_5_08_pure.csv"],
    "movielens/100k-ratings": [],
}


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    """The manual directory with the files of all, each set in a folder of its name."""
    for name in ("adressa", "amazon_book", "yelp", "modcloth", "kuairec", "kuairand_pure"):
        shutil.copytree(FOLDER / name / "dummy_data", tmp_path / "downloads" / "manual" / name)
    return tmp_path / "downloads" / "manual"


@pytest.mark.parametrize("name", FILES)
def test_a_data_set_of_ours_names_its_files(name: str, manual: Path) -> None:
    files = source_files(IngestConfig(dataset=name, manual_dir=manual))
    assert sorted(path.name for path in files) == FILES[name]
    assert all(path.is_file() for path in files)


def test_files_that_are_not_there_are_none(tmp_path: Path) -> None:
    assert source_files(IngestConfig(dataset="yelp/raw", manual_dir=tmp_path / "nowhere")) == []
    (tmp_path / "yelp.train.rating").write_text("")
    assert source_files(IngestConfig(dataset="yelp", manual_dir=tmp_path)) == [tmp_path / "yelp.train.rating"]


def test_the_folder_of_tfds_is_the_default_and_nothing_of_it_is_imported(manual: Path) -> None:
    program = (
        "import sys\n"
        "from tfadt.config.ingest import IngestConfig\n"
        "from tfadt.data.ingest import source_files\n"
        "print(*source_files(IngestConfig(dataset='modcloth')), {'tensorflow', 'tensorflow_datasets'} & set(sys.modules))\n"
    )
    environment = {"TFDS_DATA_DIR": str(manual.parent.parent)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == f"{manual / 'modcloth' / 'df_modcloth.csv'} set()\n"


def test_a_pipeline_sees_that_a_file_changed(manual: Path, tmp_path: Path) -> None:
    def execution() -> str:
        pipeline = Pipeline("p", [ingest(settings=IngestConfig(dataset="yelp/raw", manual_dir=manual))])
        return identities(pipeline, Digests(tmp_path / "digests.json"))["ingest"].execution

    before = execution()
    assert execution() == before
    (manual / "yelp" / "yelp.train.rating").write_text("of another configuration")
    assert execution() == before
    (manual / "yelp" / "yelp_academic_dataset_business.json").write_text("{}")
    assert execution() != before


def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    for name in ("df_modcloth.csv", "df_modcloth.csv.gz"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"df_modcloth\.csv is there both plain and as \.gz"):
        source_files(IngestConfig(dataset="modcloth", manual_dir=tmp_path))
