"""The authors' three files, from end to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tfadt.config.ingest import IngestConfig
from tfadt.data.ingest import ingest
from tfadt.errors import DataError

RATING = "1\t10\t1\n1\t11\t0\n2\t10\t1\n2\t12\t1\n"


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Path]:
    """Writes NAME.train.rating, NAME.valid.rating and NAME.test.negative; returns their common prefix."""

    def write(train: str = RATING, valid: str = "1\t12\t0\n", test: str = "2\t11\n") -> Path:
        (tmp_path / "yelp.train.rating").write_text(train)
        (tmp_path / "yelp.valid.rating").write_text(valid)
        (tmp_path / "yelp.test.negative").write_text(test)
        return tmp_path / "yelp"

    return write


@pytest.mark.parametrize("file_format", ["auto", "adt"])
def test_a_flag_of_1_is_a_true_positive(file_format: str, files: Callable[..., Path]) -> None:
    data = ingest(IngestConfig(data=files(), format=file_format))
    assert data.users.ids.tolist() == [1, 2]
    assert data.items.ids.tolist() == [10, 11, 12]
    assert data.train.false_positive.tolist() == [False, True, False, False]
    assert data.valid.false_positive.tolist() == [True]
    assert data.test.false_positive.tolist() == [False]
    assert data.manifest["rows"] | {"sources": None} == {
        "in": 6,
        "kept": {"train": 4, "valid": 1, "test": 1, "test_disliked": 0},
        "rejected": {},
        "sources": None,
    }


def test_the_three_files_can_be_named_one_by_one(files: Callable[..., Path]) -> None:
    prefix = files()
    names = {"train": ".train.rating", "valid": ".valid.rating", "test": ".test.negative"}
    data = ingest(IngestConfig(**{split: prefix.with_name(prefix.name + name) for split, name in names.items()}))
    assert data.manifest["counts"]["train"] == 4


def test_a_first_field_written_as_a_pair_is_parsed(files: Callable[..., Path]) -> None:
    data = ingest(IngestConfig(data=files(test="(2, 11)\t5\t6\n( 1 , 12 )\n"), on_overlap="drop_from_test"))
    pairs = list(zip(data.users.decode(data.test.user), data.items.decode(data.test.item), strict=True))
    assert pairs == [(2, 11)]
    assert data.manifest["rows"]["rejected"] == {"test: pair also in valid": 1}


def test_the_pair_is_never_evaluated(files: Callable[..., Path], tmp_path: Path) -> None:
    evil = f"(__import__('os').mkdir('{tmp_path}/evil'), 11)\n2\t11\n"
    data = ingest(IngestConfig(data=files(test=evil)))
    assert not (tmp_path / "evil").exists()
    assert len(data.test) == 1
    assert data.manifest["rows"]["in"] == 7


def test_short_and_unreadable_rows_are_counted(files: Callable[..., Path]) -> None:
    data = ingest(IngestConfig(data=files(train=RATING + "3\t10\n3\n3\t10\tx\n3\t10\t1\t9\n", test="2\t11\n2\n(2,)\n")))
    assert data.manifest["rows"]["in"] == 12
    assert data.manifest["rows"]["rejected"] == {"wrong number of fields": 5, "false_positive not 0 or 1": 1}


def test_quotes_are_part_of_an_id(files: Callable[..., Path]) -> None:
    data = ingest(IngestConfig(data=files(train=RATING + '"3\t10\t1\n')))
    assert '"3' in data.users.ids.tolist()


def test_duplicate_test_pairs_are_counted(files: Callable[..., Path]) -> None:
    data = ingest(IngestConfig(data=files(test="2\t11\n2\t11\n")))
    assert data.manifest["rows"]["rejected"] == {"duplicate pair": 1}


def test_a_missing_file_is_named(files: Callable[..., Path]) -> None:
    prefix = files()
    prefix.with_name("yelp.valid.rating").unlink()
    with pytest.raises(DataError, match=r"yelp\.valid\.rating.* does not exist"):
        ingest(IngestConfig(data=prefix))
