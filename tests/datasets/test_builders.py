"""The builders from end to end: files in a manual directory become data sets, by every way that there is."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from soak import SOAK

from tfadt.errors import ConfigError, DataError

tfds = pytest.importorskip("tensorflow_datasets")
import tfadt.datasets  # noqa: E402
from tfadt.datasets import files  # noqa: E402

FOLDER = Path(tfadt.datasets.__file__).parent
ROWS = [
    ("A1", "B1", 1.0, 1483228800),
    ("A1", "B2", 2.9, 1483228801),
    ("A2", "B1", 3.0, 1483228802),
    ("A3", "B2", 5.0, 1388534400),
]


def dummy(name: str) -> Path:
    return FOLDER / name / "dummy_data"


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Any]:
    """Builds a data set from a manual directory, each time anew."""

    def prepare(name: str, manual: Path, **config: Any) -> Any:
        number = len(list(tmp_path.glob("data*")))
        builder = tfds.builder(name, data_dir=tmp_path / f"data{number}")
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual, **config))
        return builder

    return prepare


def examples(builder: Any, split: str = "train") -> list[dict[str, Any]]:
    rows = tfds.as_numpy(builder.as_dataset(split=split))
    return [{key: value.decode() if isinstance(value, bytes) else value.item() for key, value in r.items()} for r in rows]


def test_the_authors_files_keep_their_splits_and_their_order(prepare) -> None:
    builder = prepare("adressa", dummy("adressa"))
    lines = [line.split("\t") for line in (dummy("adressa") / "adressa.train.rating").read_text().splitlines()]
    good = [line for line in lines if line[-1] in "01" and len(line) == 3]
    assert [(r["user_id"], r["item_id"], r["false_positive"]) for r in examples(builder)] == [
        (user, item, flag == "0") for user, item, flag in good
    ]
    assert [r["false_positive"] for r in examples(builder, "validation")] == [True, False, False, True, False, False]
    # In Adressa's test file the first field is the text "(user, item)".
    assert [(r["user_id"], r["item_id"]) for r in examples(builder, "test")][:2] == [("0", "4"), ("1", "7")]
    assert not any(r["false_positive"] for r in examples(builder, "test"))
    assert builder.info.metadata["rows"] == {
        "train": {"in": 21, "kept": 19, "rejected": {"false_positive not 0 or 1": 1, "wrong number of fields": 1}},
        "validation": {"in": 6, "kept": 6, "rejected": {}},
        "test": {"in": 6, "kept": 6, "rejected": {}},
    }


def test_adressa_events(prepare) -> None:
    builder = prepare("adressa/raw", dummy("adressa"))
    rows = examples(builder)
    assert rows[1] == {
        "user_id": "cx:aa11:a1",
        "item_id": f"{70:040x}",
        "dwell_time": 14.0,
        "timestamp": 1483225320,
        "false_positive": False,
    }
    assert [row["false_positive"] for row in rows] == [row["dwell_time"] < 10 for row in rows]
    assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
    rejected = {"dwell_time missing": 2, "item_id missing": 2, "not a JSON object": 1}
    assert builder.info.metadata["rows"] == {"train": {"in": 35, "kept": 30, "rejected": rejected}}


def test_yelp_keeps_restaurants_and_bars(prepare) -> None:
    builder = prepare("yelp/raw", dummy("yelp"))
    rows = examples(builder)
    assert {row["item_id"] for row in rows} == {"b-pizza", "b-bar", "b-old"}
    assert rows[0] == {
        "user_id": "u-0",
        "item_id": "b-pizza",
        "rating": 1.0,
        "timestamp": 1515578951,  # 2018-01-10 10:09:11
        "false_positive": True,
    }
    assert builder.info.metadata["rows"]["train"]["rejected"]["business outside the catering industry"] == 8


def test_kuairec_counts_how_much_was_watched(prepare) -> None:
    builder = prepare("kuairec", dummy("kuairec"))
    rows = examples(builder)
    assert [r["false_positive"] for r in rows] == [False, False, True, False, True]
    assert (rows[3]["rating"], rows[3]["timestamp"], rows[3]["item_id"]) == (0.5, 1593879367, "3649")
    assert builder.info.metadata["rows"]["train"]["rejected"] == {"rating missing": 1}
    assert "timestamp" not in examples(prepare("kuairec/small", dummy("kuairec")))[0]


def test_kuairand_keeps_clicks_and_reads_milliseconds(prepare) -> None:
    builder = prepare("kuairand_pure", dummy("kuairand_pure"))
    rows = examples(builder)
    assert [(r["user_id"], r["item_id"], r["dwell_time"], r["false_positive"]) for r in rows] == [
        ("0", "3680", pytest.approx(21.343), False),
        ("5", "3680", pytest.approx(9.999), True),
        ("5", "6009", 10.0, False),
        ("7", "3680", 0.0, True),
    ]
    assert rows[0]["timestamp"] == 1649408076
    assert builder.info.metadata["rows"]["train"]["rejected"] == {"item_id missing": 1, "not clicked": 1}


@pytest.mark.parametrize("name", ["yelp/raw", "yelp/raw_beam"])
def test_reviews_of_a_broken_business_have_a_reason_of_their_own(
    name: str, prepare, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(dummy("yelp"), tmp_path / "manual")
    businesses = tmp_path / "manual" / "yelp_academic_dataset_business.json"
    pizza, bar, *others = businesses.read_text().splitlines()
    businesses.write_text("\n".join([pizza[:-2], bar, '{"categories": "Bars"}', "[]", *others]))
    with caplog.at_level(logging.WARNING, "tfadt.datasets.base"):
        builder = prepare(name, tmp_path / "manual")
    rejected = {"business_id missing": 1, "not a JSON object": 2}
    assert builder.info.metadata["businesses"] == {"in": 7, "kept": 4, "rejected": rejected}
    assert (
        "yelp/raw, businesses: 7 rows in, 4 kept. Rejected: business_id missing: 1, not a JSON object: 2."
    ) in caplog.text.replace(name, "yelp/raw")
    rejected = builder.info.metadata["rows"]["train"]["rejected"]
    assert rejected["business not in yelp_academic_dataset_business.json"] == 4  # reviews of b-pizza
    assert rejected["business outside the catering industry"] == 8
    assert {row["item_id"] for row in examples(builder)} == {"b-bar", "b-old"}


def test_modcloth_tables(prepare) -> None:
    row = examples(prepare("modcloth", dummy("modcloth")))[5]
    assert row["user_id"] == "Kim, R."
    assert row["timestamp"] % 86_400 == 8 * 3600
    fit = examples(prepare("modcloth/clothing_fit", dummy("modcloth")))
    assert fit[0] == {"user_id": "990000", "item_id": "123370", "rating": 1.0, "false_positive": True}
    deca = prepare("modcloth/deca", dummy("modcloth"))
    assert [(r["user_id"], r["item_id"], r["rating"]) for r in examples(deca, "test")][1:3] == [
        ("1", "5", 4.0),
        ("2", "4", 2.0),
    ]
    assert [r["false_positive"] for r in examples(deca, "test")] == [True, False, True, False, False]


REVIEWS = "".join(
    json.dumps({"reviewerID": user, "asin": item, "overall": rating, "unixReviewTime": time}) + "\n"
    for user, item, rating, time in ROWS
)
REVIEWS_2023 = "".join(
    json.dumps({"user_id": user, "asin": "X", "parent_asin": item, "rating": rating, "timestamp": 1000 * time + 7}) + "\n"
    for user, item, rating, time in ROWS
)
AMAZON = {
    "reviews_Books.json": REVIEWS,
    "reviews_Books_5.json.gz": REVIEWS,
    "Books.json": REVIEWS,
    "Books_5.json": REVIEWS,
    "Books.jsonl.gz": REVIEWS_2023,
    "ratings_Books.csv": "".join(f"{user},{item},{rating},{time}\n" for user, item, rating, time in ROWS),
    "Books.csv.gz": "".join(f"{item},{user},{rating},{time}\n" for user, item, rating, time in ROWS),
}


@pytest.mark.parametrize("name", sorted(AMAZON))
def test_each_file_of_amazon_gives_the_same_examples(name: str, prepare, tmp_path: Path) -> None:
    # Where several data sets share a manual directory, each may have a folder of its name.
    manual = tmp_path / "manual" / "amazon_book"
    manual.mkdir(parents=True)
    content = AMAZON[name].encode()
    (manual / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    rows = examples(prepare("amazon_book/raw", manual.parent))
    assert [(r["user_id"], r["item_id"], r["timestamp"]) for r in rows] == [(u, i, t) for u, i, _, t in ROWS]
    assert [r["rating"] for r in rows] == pytest.approx([1.0, 2.9, 3.0, 5.0])
    assert [r["false_positive"] for r in rows] == [True, True, False, False]


@pytest.mark.parametrize("name", ["adressa", "yelp"])
def test_beam_gives_the_same_rows_in_the_same_order(name: str, prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = prepare(f"{name}/raw", dummy(name))
    monkeypatch.setattr(files, "RANGE_BYTES", 300)  # Every file is cut into many ranges.
    beam = prepare(f"{name}/raw_beam", dummy(name), beam_runner="DirectRunner")
    assert examples(beam) == examples(plain)
    assert dict(beam.info.metadata.items()) == dict(plain.info.metadata.items())


def test_without_beam_the_way_to_it_is_told(prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tfadt.datasets.beam_reading", raising=False)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ConfigError, match=r"adressa/raw_beam needs Apache Beam: pip install 'tfadt\[beam\]'\. adressa/raw"):
        prepare("adressa/raw_beam", dummy("adressa"))


def test_order_is_kept_where_tfds_sorts_on_disk(prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = examples(prepare("adressa/raw", dummy("adressa")))
    monkeypatch.setattr("tensorflow_datasets.core.shuffle.MAX_MEM_BUFFER_SIZE", 10)
    monkeypatch.setattr(files, "BATCH_LINES", 3)
    assert examples(prepare("adressa/raw", dummy("adressa"), num_shards=4)) == plain


def test_gzipped_days_keep_their_order(prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = examples(prepare("adressa/raw", dummy("adressa")))
    (tmp_path / "manual" / "one_week").mkdir(parents=True)
    for day in (dummy("adressa") / "one_week").iterdir():
        (tmp_path / "manual" / "one_week" / f"{day.name}.gz").write_bytes(gzip.compress(day.read_bytes()))
    monkeypatch.setattr(files, "BATCH_LINES", 3)
    assert examples(prepare("adressa/raw", tmp_path / "manual")) == plain


def test_what_could_not_be_used_is_reported(prepare, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tfadt.datasets.base"):
        builder = prepare("modcloth", dummy("modcloth"))
        builder.download_and_prepare()
    assert [(record.levelname, record.getMessage()) for record in caplog.records if record.name.startswith("tfadt")] == [
        ("WARNING", "modcloth/raw, train: 29 rows in, 27 kept. Rejected: user_id missing: 1, wrong number of fields: 1.")
    ]


@pytest.mark.parametrize("name", ["amazon_book/raw", "amazon_book/raw_beam"])
def test_a_file_of_which_nothing_can_be_used_is_refused(name: str, prepare, tmp_path: Path) -> None:
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "Books.json").write_text("<html>\n{}\n")
    with pytest.raises(Exception, match=r"Books\.json: no row can be used.*not a JSON object: 1, user_id missing: 1"):
        prepare(name, tmp_path / "manual")
    assert not list((tmp_path / "data0").rglob("*.tfrecord*"))


def test_files_that_are_not_there_are_named(prepare, tmp_path: Path) -> None:
    manual = tmp_path / "manual"
    with pytest.raises(
        DataError, match=r"manual does not exist or is empty\. Expected the files of yelp/authors: yelp\.train"
    ):
        prepare("yelp", manual)
    shutil.copytree(dummy("yelp"), manual)
    (manual / "yelp.valid.rating").unlink()
    with pytest.raises(
        DataError, match=r"yelp/authors reads yelp\.valid\.rating \(or \.gz\).*It holds the files of yelp/raw\."
    ):
        prepare("yelp", manual)
    (manual / "yelp_academic_dataset_business.json").unlink()
    with pytest.raises(
        DataError, match=r"yelp/raw reads yelp_academic_dataset_business\.json \(or \.gz\), which .*manual does not hold\."
    ):
        prepare("yelp/raw", manual)
    (manual / "yelp_academic_dataset_business.json").write_text('{"business_id": "b", "categories": "Spas"}\nx\n')
    with pytest.raises(DataError, match=r"business\.json has no business of the category Bars or Restaurants"):
        prepare("yelp/raw", manual)


def test_one_log_in_several_formats_is_not_read_twice(prepare, tmp_path: Path) -> None:
    manual = tmp_path / "manual"
    manual.mkdir()
    for name in ("Books.json", "ratings_Books.csv"):
        (manual / name).write_text(AMAZON[name])
    with pytest.raises(DataError, match=r"manual holds Books\.json, ratings_Books\.csv\. Expected one of them"):
        prepare("amazon_book/raw", manual)


@SOAK
def test_tfds_build(tmp_path: Path) -> None:
    """The command that TensorFlow Datasets brings, in a process of its own."""
    for name in ("adressa", "amazon_book", "yelp", "modcloth"):
        shutil.copytree(dummy(name), tmp_path / "manual" / name)
    names = ["adressa/authors", "amazon_book/raw", "yelp/raw", "modcloth/deca"]
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", *names, "--imports", "tfadt.datasets"]
    command += ["--manual_dir", str(tmp_path / "manual"), "--data_dir", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert built(tmp_path / "data") == {f"{name}/1.0.0" for name in names}
    report = "amazon_book/raw, train: 17 rows in, 15 kept. Rejected: not a JSON object: 1, rating missing: 1."
    assert report in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["adressa", "amazon_book", "yelp", "modcloth"])
def test_tfds_build_finds_a_builder_in_its_folder(name: str, tmp_path: Path) -> None:
    cli = pytest.importorskip("tensorflow_datasets.scripts.cli.main")
    options = ["--config", "raw", f"--manual_dir={dummy(name)}", f"--data_dir={tmp_path}"]
    cli._parse_flags(["tfds", "build", str(FOLDER / name), *options]).execute()
    assert built(tmp_path) == {f"{name}/raw/1.0.0"}


def built(data_dir: Path) -> set[str]:
    return {path.parent.relative_to(data_dir).as_posix() for path in data_dir.rglob("dataset_info.json")}


def test_tfadt_run_on_a_data_set(tmp_path: Path) -> None:
    """Nothing but the name, with the files where TFDS looks for them."""
    shutil.copytree(dummy("adressa"), tmp_path / "tfds" / "downloads" / "manual")
    command = [sys.executable, "-m", "tfadt.cli.main", "run", "--dataset", "adressa", "--model", "gmf", "--policy", "t_ce"]
    command += ["--set", "adt.epochs=1", "--set", "evaluate.k=3", "--set", "policy.t_ce.max_drop_rate=0.2"]
    environment = os.environ | {"TFDS_DATA_DIR": str(tmp_path / "tfds")}
    done = subprocess.run([*command, "--out", str(tmp_path / "run")], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    manifest = json.loads((tmp_path / "run" / "data" / "manifest.json").read_text())
    assert manifest["split"] == {"method": "given"}
    assert manifest["counts"] == {"users": 6, "items": 8, "train": 19, "valid": 6, "test": 6, "test_disliked": 0}
    assert "gmf" in (tmp_path / "run" / "results.md").read_text()
