"""KuaiRand-Pure: clicks on short videos; one that was watched for less than 10 s is a false positive."""

from __future__ import annotations

from tfadt.config.ingest import IngestConfig
from tfadt.data.manual_files import MANUAL_FILES
from tfadt.datasets.base import InteractionBuilder
from tfadt.datasets.configs import InteractionConfig, read_all_by
from tfadt.datasets.formats import Delimited

_CLICKS = Delimited(
    {"user": "user_id", "item": "video_id", "dwell_time": "play_time_ms", "timestamp": "time_ms"},
    only=("is_click", "1", "not clicked"),
)
_MILLISECONDS = IngestConfig(dwell_time_unit="ms")


class Builder(InteractionBuilder):
    """Builder of `kuairand_pure`."""

    BUILDER_CONFIGS = [
        InteractionConfig(
            name="raw",
            description="Clicks on videos that a recommender chose.",
            sources=read_all_by(_CLICKS, MANUAL_FILES["kuairand_pure"]["raw"], timed=True),
            rule="dwell_time",
            settings=_MILLISECONDS,
        ),
        InteractionConfig(
            name="random",
            description="Clicks on videos that were put in at random.",
            sources=read_all_by(_CLICKS, MANUAL_FILES["kuairand_pure"]["random"], timed=True),
            rule="dwell_time",
            settings=_MILLISECONDS,
        ),
    ]
    HOMEPAGE = "https://kuairand.com"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    kuairand_pure/raw: data/log_standard_4_08_to_4_21_pure.csv and log_standard_4_22_to_5_08_pure.csv of KuaiRand-Pure
    (https://kuairand.com).
    kuairand_pure/random: data/log_random_4_22_to_5_08_pure.csv of the same.
    """
