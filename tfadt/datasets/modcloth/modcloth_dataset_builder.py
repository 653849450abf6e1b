"""ModCloth: ratings of clothes; a rating below 3 is a false positive."""

from __future__ import annotations

from tfadt.data.manual_files import MANUAL_FILES
from tfadt.datasets.base import InteractionBuilder
from tfadt.datasets.configs import InteractionConfig, read_all_by
from tfadt.datasets.formats import Delimited, JsonLines

_RATINGS = {"user": "user_id", "item": "item_id", "rating": "rating"}
_TABLE = Delimited(_RATINGS | {"timestamp": "timestamp"})
_FIT = JsonLines({"user": "user_id", "item": "item_id", "rating": "quality"})
_DECA = Delimited(_RATINGS, "\t", ("user_id", "item_id", "rating"))


class Builder(InteractionBuilder):
    """Builder of `modcloth`."""

    BUILDER_CONFIGS = [
        InteractionConfig(
            name="raw",
            description="The table of Wan et al. (marketing bias).",
            sources=read_all_by(_TABLE, MANUAL_FILES["modcloth"]["raw"], timed=True),
            rule="rating",
        ),
        InteractionConfig(
            name="clothing_fit",
            description="The log of Misra et al. (clothing fit): other users and items, no times.",
            sources=read_all_by(_FIT, MANUAL_FILES["modcloth"]["clothing_fit"]),
            rule="rating",
        ),
        InteractionConfig(
            name="deca",
            description="The table of Wan et al. as the authors of DeCA split it.",
            sources=read_all_by(_DECA, MANUAL_FILES["modcloth"]["deca"]),
            rule="rating",
        ),
    ]
    HOMEPAGE = "https://cseweb.ucsd.edu/~jmcauley/datasets.html"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    modcloth/raw: df_modcloth.csv of https://github.com/MengtingWan/marketBias (data).
    modcloth/clothing_fit: modcloth_final_data.json of https://cseweb.ucsd.edu/~jmcauley/datasets.html.
    modcloth/deca: modcloth.train.rating, modcloth.valid.rating and modcloth.test.noisy of
    https://github.com/wangyu-ustc/DeCA (data/modcloth).
    """
