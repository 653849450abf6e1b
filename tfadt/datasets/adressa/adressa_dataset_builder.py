"""Adressa: clicks on news articles; a click that stays under 10 seconds is a false positive."""

from __future__ import annotations

from tfadt.data.manual_files import MANUAL_FILES
from tfadt.datasets.base import InteractionBuilder
from tfadt.datasets.configs import authors_config, raw_configs, read_all_by
from tfadt.datasets.formats import JsonLines

# Only events on an article have an `id`; front pages and sections have none.
_EVENTS = JsonLines({"user": "userId", "item": "id", "dwell_time": "activeTime", "timestamp": "time"})


class Builder(InteractionBuilder):
    """Builder of `adressa`."""

    BUILDER_CONFIGS = [
        authors_config("adressa"),
        *raw_configs("dwell_time", read_all_by(_EVENTS, MANUAL_FILES["adressa"]["raw"], timed=True)),
    ]
    HOMEPAGE = "https://reclab.idi.ntnu.no/dataset/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    adressa/authors: adressa.train.rating, adressa.valid.rating and adressa.test.negative of
    https://github.com/WenjieWWJ/DenoisingRec (data/adressa).
    adressa/raw: the unpacked folder one_week or three_month of https://reclab.idi.ntnu.no/dataset/.
    """
