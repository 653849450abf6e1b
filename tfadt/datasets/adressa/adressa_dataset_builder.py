"""Adressa: clicks on news articles; a click that stays under 10 seconds is a false positive."""

from __future__ import annotations

from tfadt.datasets.base import InteractionBuilder
from tfadt.datasets.configs import Source, authors_config, raw_configs
from tfadt.datasets.formats import JsonLines

# One file a day, named like 20170101. Only events on an article have an `id`; front pages and sections have none.
_EVENTS = JsonLines({"user": "userId", "item": "id", "dwell_time": "activeTime", "timestamp": "time"})
_DAY = "20[0-9][0-9][01][0-9][0-3][0-9]"


class Builder(InteractionBuilder):
    """Builder of `adressa`."""

    BUILDER_CONFIGS = [
        authors_config("adressa"),
        *raw_configs(
            "dwell_time",
            [Source(pattern, _EVENTS, 1) for pattern in (f"one_week/{_DAY}", f"three_month/{_DAY}", _DAY)],
        ),
    ]
    HOMEPAGE = "https://reclab.idi.ntnu.no/dataset/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    adressa/authors: adressa.train.rating, adressa.valid.rating and adressa.test.negative of
    https://github.com/WenjieWWJ/DenoisingRec (data/adressa).
    adressa/raw: the unpacked folder one_week or three_month of https://reclab.idi.ntnu.no/dataset/.
    """
