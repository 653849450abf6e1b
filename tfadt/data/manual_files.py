"""Files that users download by hand for the data sets of `tfadt.datasets`: what they are called, and where they are.

The builders take the names from here. Importing this module does not import TensorFlow Datasets, so that a pipeline sees
whether such files changed without it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tfadt.data.files import AUTHORS
from tfadt.errors import DataError

SPLITS = ("train", "validation", "test")
"""As TFDS calls them."""
Tables = Mapping[str, Sequence[str]]
"""Table -> glob patterns in the manual directory, of which one must be there, each file plain or as `.gz`. Tables that
are no split are read beside them."""

_NAME = re.compile(r"(?P<dataset>\w+)(/(?P<config>\w+))?(:[\d.*]+)?")
# TFDS takes AmazonBook for amazon_book.
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Adressa has one file a day, named like 20170101.
_DAY = "20[0-9][0-9][01][0-9][0-3][0-9]"
_BOOKS = (
    *("reviews_Books.json", "reviews_Books_5.json", "Books.json", "Books_5.json", "Books.jsonl"),
    *("ratings_Books.csv", "Books.csv"),
)


def _authors(dataset: str) -> Tables:
    return {split: (f"{dataset}{suffix}",) for split, suffix in zip(SPLITS, AUTHORS.values(), strict=True)}


def _raw(tables: Tables) -> dict[str, Tables]:
    return {"raw": tables, "raw_beam": tables}


MANUAL_FILES: Mapping[str, Mapping[str, Tables]] = {
    "adressa": {
        "authors": _authors("adressa"),
        **_raw({"train": (f"one_week/{_DAY}", f"three_month/{_DAY}", _DAY)}),
    },
    "amazon_book": {"authors": _authors("amazon_book"), **_raw({"train": _BOOKS})},
    "yelp": {
        "authors": _authors("yelp"),
        **_raw({"train": ("yelp_academic_dataset_review.json",), "businesses": ("yelp_academic_dataset_business.json",)}),
    },
    "modcloth": {
        "raw": {"train": ("df_modcloth.csv",)},
        "clothing_fit": {"train": ("modcloth_final_data.json",)},
        "deca": {
            "train": ("modcloth.train.rating",),
            "validation": ("modcloth.valid.rating",),
            # modcloth.test.negative holds ratings of 5 only.
            "test": ("modcloth.test.noisy",),
        },
    },
    "kuairec": {"raw": {"train": ("big_matrix.csv",)}, "small": {"train": ("small_matrix.csv",)}},
    "kuairand_pure": {
        "raw": {"train": ("log_standard_*_pure.csv",)},
        "random": {"train": ("log_random_*_pure.csv",)},
    },
}
"""Data set -> configuration, the default first -> its tables."""


def manual_files(name: str, manual_dir: Path | None) -> list[Path]:
    """Returns the files that a data set of ours is built from, as far as they are there; of another one nothing.

    Args:
        name: As TFDS takes it: the data set's, with the configuration's unless it is the default.
        manual_dir: Where the files are (default: TFDS's own).

    Raises:
        DataError: If it cannot be told which files are meant.
    """
    parts = _NAME.fullmatch(name)
    dataset = _CAPITAL.sub("_", parts["dataset"]).lower() if parts else ""
    if parts is None or dataset not in MANUAL_FILES:
        return []
    configs = MANUAL_FILES[dataset]
    tables = configs.get(parts["config"] or next(iter(configs)), {})
    folder = manual_dir.expanduser() if manual_dir else _default_manual_dir()
    chosen = [choose_files([folder / dataset, folder], patterns) for patterns in tables.values()]
    return [path for found in chosen if found for path in found[1]]


def choose_files(places: Iterable[Path], patterns: Sequence[str]) -> tuple[str, list[Path]] | None:
    """Returns the pattern whose files are there, and the files in order; None if there are none.

    Args:
        places: Folders to look into; the first that holds files of any pattern counts.
        patterns: What may be there.

    Raises:
        DataError: If the files of several patterns are there, or one both plain and as .gz.
    """
    for place in places:
        found = [(pattern, files) for pattern in patterns if (files := find_files(place, pattern))]
        if len(found) > 1:
            names = ", ".join(files[0].name for _, files in found)
            raise DataError(f"{place} holds {names}. Expected one of them: they are the same log in several formats.")
        if found:
            return found[0]
    return None


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Returns the files of a pattern, plain or gzipped, in the order of their names.

    Raises:
        DataError: If one of them is there both ways.
    """
    files = [*folder.glob(pattern), *folder.glob(f"{pattern}.gz")]
    names = [str(path).removesuffix(".gz") for path in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{twice} is there both plain and as .gz. Expected one of them.")
    return sorted(files)


def _default_manual_dir() -> Path:
    root = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    return Path(root).expanduser() / "downloads" / "manual"
