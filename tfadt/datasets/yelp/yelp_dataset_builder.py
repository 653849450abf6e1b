"""Yelp: reviews of the catering industry; a rating below 3 is a false positive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from tfadt.data.cleaning import Account
from tfadt.data.manual_files import MANUAL_FILES
from tfadt.datasets.account import total
from tfadt.datasets.base import InteractionBuilder
from tfadt.datasets.configs import Source, authors_config, raw_configs
from tfadt.datasets.database import good_rows
from tfadt.datasets.files import split_files
from tfadt.datasets.formats import JsonLines
from tfadt.datasets.rows import ItemFilter
from tfadt.errors import DataError

_REVIEWS = JsonLines({"user": "user_id", "item": "business_id", "rating": "stars", "timestamp": "date"})
_BUSINESSES = JsonLines({"business": "business_id"})
_TABLE = "businesses"
_FILES = MANUAL_FILES["yelp"]["raw"]
# "Businesses in the catering industry (e.g., restaurants and bars)", the paper's section 5.
_CATERING = ["Bars", "Restaurants"]
# Older files list the categories of a business, newer ones join them by commas.
_CATEGORIES = (
    "list_transform(CASE TRY(json_type(__text, '$.categories')) "
    "WHEN 'ARRAY' THEN json_extract_string(__text, '$.categories[*]') "
    "WHEN 'VARCHAR' THEN string_split(json_extract_string(__text, '$.categories'), ',') END, lambda name: trim(name))"
)


class Builder(InteractionBuilder):
    """Builder of `yelp`."""

    BUILDER_CONFIGS = [
        authors_config("yelp"),
        *raw_configs(
            "rating",
            {
                "train": [Source(name, _REVIEWS, timed=True) for name in _FILES["train"]],
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
        path = files[_TABLE][0]
        if not any(in_industry.values()):
            raise DataError(f"{path} has no business of the category {' or '.join(_CATERING)}.")
        return ItemFilter(in_industry, "business outside the catering industry", f"business not in {path.name}")


def _read_businesses(paths: Sequence[tfds.core.Path]) -> tuple[dict[str, bool], dict[str, Any]]:
    """Returns whether each business is in the catering industry, and the account of the lines."""
    account, kept = Account(), 0
    in_industry: dict[str, bool] = {}
    parts = split_files(paths, _BUSINESSES.header)
    for part in parts:
        source = _BUSINESSES.source(part)
        business = source.values["business"]
        sql = (
            f"SELECT coalesce(__defect, CASE WHEN {business.missing} THEN 'business_id missing' END), "
            f"{business.sql}, coalesce(list_has_any({_CATEGORIES}, {_CATERING}), false) FROM ({source.table.sql})"
        )
        for _, (business_id, is_in) in good_rows(part, sql, account):
            kept += 1
            in_industry[business_id] = in_industry.get(business_id, False) or is_in
    return in_industry, total([(account, kept)], parts)
