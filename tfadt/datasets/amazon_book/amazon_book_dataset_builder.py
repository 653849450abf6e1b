"""Amazon-book: reviews of books; a rating below 3 is a false positive."""

from __future__ import annotations

from tfadt.data.manual_files import MANUAL_FILES
from tfadt.datasets.base import InteractionBuilder
from tfadt.datasets.configs import Source, authors_config, raw_configs
from tfadt.datasets.formats import Delimited, JsonLines

# Reviews of 2014 (reviews_Books) and 2018 (Books), whole or of users and items with five of them.
_REVIEWS = JsonLines({"user": "reviewerID", "item": "asin", "rating": "overall", "timestamp": "unixReviewTime"})
# Reviews of 2023: the formats of a book share a parent.
_2023 = {"user": "user_id", "item": "parent_asin", "rating": "rating", "timestamp": "timestamp"}
_PLAIN = {"user": "user_id", "item": "item_id", "rating": "rating", "timestamp": "timestamp"}


def _source(name: str) -> Source:
    """Returns how the files of a name are read."""
    if name == "Books.jsonl":
        return Source(name, JsonLines(_2023), timed=True)
    if name.endswith(".json"):
        return Source(name, _REVIEWS, timed=True)
    # Neither of the two older tables names its columns, and they stand in another order.
    ids = ("user_id", "item_id") if name == "ratings_Books.csv" else ("item_id", "user_id")
    return Source(name, Delimited(_PLAIN, names=(*ids, "rating", "timestamp")), timed=True)


class Builder(InteractionBuilder):
    """Builder of `amazon_book`."""

    BUILDER_CONFIGS = [
        authors_config("amazon_book"),
        *raw_configs("rating", {"train": [_source(name) for name in MANUAL_FILES["amazon_book"]["raw"]["train"]]}),
    ]
    HOMEPAGE = "https://cseweb.ucsd.edu/~jmcauley/datasets.html"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    amazon_book/authors: amazon_book.train.rating, amazon_book.valid.rating and amazon_book.test.negative of
    https://github.com/WenjieWWJ/DenoisingRec (data/amazon_book).
    amazon_book/raw: one file of the category Books: reviews_Books.json, reviews_Books_5.json or ratings_Books.csv (2014),
    Books.json, Books_5.json or Books.csv (2018), Books.jsonl (2023), as it is or as .gz, of
    https://cseweb.ucsd.edu/~jmcauley/datasets.html.
    """
