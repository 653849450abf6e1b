"""KuaiRec: views of short videos; one of which less than half was watched is a false positive."""

from __future__ import annotations

from tfadt.config.ingest import Feedback, IngestConfig
from tfadt.data.manual_files import MANUAL_FILES
from tfadt.datasets.base import InteractionBuilder
from tfadt.datasets.configs import InteractionConfig, read_all_by
from tfadt.datasets.formats import Delimited

_COLUMNS = {"user": "user_id", "item": "video_id", "rating": "watch_ratio"}
_TIMED = Delimited(_COLUMNS | {"timestamp": "timestamp"})
_WATCHED = IngestConfig(feedback=Feedback(rating_below=0.5))


class Builder(InteractionBuilder):
    """Builder of `kuairec`."""

    BUILDER_CONFIGS = [
        InteractionConfig(
            name="raw",
            description="The log of what users were recommended (big matrix).",
            sources=read_all_by(_TIMED, MANUAL_FILES["kuairec"]["raw"], timed=True),
            rule="rating",
            settings=_WATCHED,
        ),
        InteractionConfig(
            name="small",
            description="Nearly every video, shown to each of 1,411 users (small matrix). Some views have no time.",
            sources=read_all_by(Delimited(_COLUMNS), MANUAL_FILES["kuairec"]["small"]),
            rule="rating",
            settings=_WATCHED,
        ),
    ]
    HOMEPAGE = "https://kuairec.com"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    kuairec/raw: data/big_matrix.csv of KuaiRec.zip (https://kuairec.com).
    kuairec/small: data/small_matrix.csv of the same.
    """
