"""Yelp: reviews of the catering industry; a rating below 3 is a false positive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow_datasets as tfds

from tfadt.data.json_lines import parse_object
from tfadt.data.manual_files import MANUAL_FILES
from tfadt.datasets.base import InteractionBuilder
from tfadt.datasets.configs import DATES, authors_config, raw_configs, read_all_by
from tfadt.datasets.files import read_batches, split_files
from tfadt.datasets.formats import JsonLines
from tfadt.datasets.rows import ItemFilter
from tfadt.errors import DataError

_REVIEWS = JsonLines({"user": "user_id", "item": "business_id", "rating": "stars", "timestamp": "date"})
_BUSINESSES = JsonLines({})
# "Businesses in the catering industry (e.g., restaurants and bars)", the paper's section 5.
_CATERING = frozenset({"Restaurants", "Bars"})


class Builder(InteractionBuilder):
    """Builder of `yelp`."""

    BUILDER_CONFIGS = [
        authors_config("yelp"),
        *raw_configs(
            "rating",
            {
                **read_all_by(_REVIEWS, {"train": MANUAL_FILES["yelp"]["raw"]["train"]}, DATES),
                **read_all_by(_BUSINESSES, {"businesses": MANUAL_FILES["yelp"]["raw"]["businesses"]}),
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
        if "businesses" not in files:
            return None
        paths = files["businesses"]
        items = set()
        for part in split_files(paths, _BUSINESSES.header):
            for _, lines in read_batches(part):
                for record in map(parse_object, lines):
                    if record is not None and _categories(record) & _CATERING:
                        items.add(str(record.get("business_id")))
        if not items:
            raise DataError(f"{paths[0]} has no business of the category {' or '.join(sorted(_CATERING))}.")
        return ItemFilter(frozenset(items), "business outside the catering industry")


def _categories(record: dict[str, object]) -> set[str]:
    """Returns the categories of a business, which older files list and newer ones join by commas."""
    categories = record.get("categories") or []
    names = categories.split(",") if isinstance(categories, str) else categories
    return {str(name).strip() for name in names} if isinstance(names, list) else set()
