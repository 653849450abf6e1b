"""Stage `ingest`: from a log, given splits, a TensorFlow Datasets data set or the simulation to artifacts."""

from __future__ import annotations

from tfadt.components.artifacts.extra_feedback import ExtraFeedback
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.component import component
from tfadt.components.signature import Output, Parameter
from tfadt.config.ingest import IngestConfig
from tfadt.data.ingest import source_files


@component(reads=lambda settings: source_files(settings))
def ingest(
    interactions: Output[Interactions], extra_feedback: Output[ExtraFeedback], settings: Parameter[IngestConfig]
) -> None:
    """Reads, cleans, splits and encodes the interactions that the settings name."""
    from tfadt.data.account import summary
    from tfadt.data.ingest import ingest as read

    data = read(settings, print, folder=interactions.path.parent)
    for line in summary(data.manifest):
        print(line)
    interactions.write(data)
    extra_feedback.write(data)
