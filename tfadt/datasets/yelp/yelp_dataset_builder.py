"""Yelp: reviews of the catering industry; a rating below 3 is a false positive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from tfadt.data.accounting import RowAccount
from tfadt.data.json_lines import BROKEN, parse_object, scalars
from tfadt.data.manual_files import MANUAL_FILES
from tfadt.data.values import id_texts
from tfadt.datasets.account import total
from tfadt.datasets.base import InteractionBuilder
from tfadt.datasets.configs import DATES, Source, authors_config, raw_configs
from tfadt.datasets.files import read_batches, split_files
from tfadt.datasets.formats import JsonLines
from tfadt.datasets.rows import ItemFilter
from tfadt.errors import DataError

_REVIEWS = JsonLines({"user": "user_id", "item": "business_id", "rating": "stars", "timestamp": "date"})
_BUSINESSES = JsonLines({})
_TABLE = "businesses"
_FILES = MANUAL_FILES["yelp"]["raw"]
# "Businesses in the catering industry (e.g., restaurants and bars)", the paper's section 5.
_CATERING = frozenset({"Restaurants", "Bars"})


class Builder(InteractionBuilder):
    """Builder of `yelp`."""

    BUILDER_CONFIGS = [
        authors_config("yelp"),
        *raw_configs(
            "rating",
            {
                "train": [Source(name, _REVIEWS, DATES) for name in _FILES["train"]],
                _TABLE: [Source(name, _BUSINESSES) for name in _FILES[_TABLE]],
            },
        ),
    ]
    HOMEPAGE = "https://www.yelp.com/dataset"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    yelp/authors: yelp.train.rating, yelp.valid.rating and yelp.test.negative of
    https://github.com/WenjieWWJ/DenoisingRec (data/yelp).
    yelp/raw: yelp_academic_dataset_review.json and yelp_academic_dataset_business.json of https://www.yelp.com/dataset.
    """

    def _item_filter(self, files: Mapping[str, Sequence[tfds.core.Path]]) -> ItemFilter | None:
        """Returns the businesses of the catering industry; the authors' files hold no others."""
        if _TABLE not in files:
            return None
        in_industry, account = _read_businesses(files[_TABLE])
        # A broken line takes all reviews of its business with it.
        self.info.metadata[_TABLE] = account
        self._report(_TABLE, account)
        items = frozenset(business for business, is_in in in_industry.items() if is_in)
        path = files[_TABLE][0]
        if not items:
            raise DataError(f"{path} has no business of the category {' or '.join(sorted(_CATERING))}.")
        return ItemFilter(
            items, frozenset(in_industry), "business outside the catering industry", f"business not in {path.name}"
        )


def _read_businesses(paths: Sequence[tfds.core.Path]) -> tuple[dict[str, bool], dict[str, Any]]:
    """Returns whether each business is in the catering industry, and the account of the lines."""
    account, kept = RowAccount(0, {}), 0
    in_industry: dict[str, bool] = {}
    parts = split_files(paths, _BUSINESSES.header)
    for part in parts:
        for _, lines in read_batches(part):
            records = [record for record in map(parse_object, lines) if record is not None]
            account.rows_in += len(lines)
            account.rejected[BROKEN] += len(lines) - len(records)
            ids = id_texts(scalars(records, {"id": "business_id"})["id"], "business_id")
            for business, record in zip(ids, records, strict=True):
                if business is None:
                    account.rejected["business_id missing"] += 1
                    continue
                kept += 1
                in_industry[business] = in_industry.get(business, False) or bool(_categories(record) & _CATERING)
    return in_industry, total([(account, kept)], parts)


def _categories(record: dict[str, object]) -> set[str]:
    """Returns the categories of a business, which older files list and newer ones join by commas."""
    categories = record.get("categories") or []
    names = categories.split(",") if isinstance(categories, str) else categories
    return {str(name).strip() for name in names} if isinstance(names, list) else set()
