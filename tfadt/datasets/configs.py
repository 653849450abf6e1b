"""Configurations of the builders: which files a data set is read from, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import tensorflow_datasets as tfds

from tfadt.config.ingest import IngestConfig
from tfadt.data.manual_files import MANUAL_FILES, SPLITS, Tables, choose_files
from tfadt.datasets.formats import AuthorsFormat, Format


@dataclasses.dataclass(frozen=True)
class Source:
    """Files in one format that can be downloaded.

    Attributes:
        pattern: Glob in the manual directory; each file plain or as `.gz`.
        format: How their lines are read.
        timed: Whether their rows have a time.
    """

    pattern: str
    format: Format
    timed: bool = False


@dataclasses.dataclass(eq=False, kw_only=True)
class InteractionConfig(tfds.core.BuilderConfig):
    """One way to build a data set.

    Attributes:
        sources: Table -> the sources that it may be read from, of which one must be there. A lone `train` is a whole log.
        rule: Feedback that tells a false positive: `rating`, `dwell_time` or `false_positive`.
        beam: Whether Apache Beam reads the files, in parallel.
        settings: How values are read, where it is not as the defaults of `ingest` say: units and thresholds.
    """

    sources: Mapping[str, Sequence[Source]]
    rule: str
    beam: bool = False
    settings: IngestConfig = dataclasses.field(default_factory=IngestConfig)

    @property
    def splits(self) -> list[str]:
        """The tables that are splits; others are read beside them."""
        return [table for table in self.sources if table in SPLITS]

    @property
    def timed(self) -> bool:
        """Whether rows have a time."""
        return all(source.timed for split in self.splits for source in self.sources[split])

    @property
    def patterns(self) -> str:
        """The files to put into the manual directory, for messages."""
        return ", ".join(" or ".join(source.pattern for source in sources) for sources in self.sources.values())


def authors_config(dataset: str) -> InteractionConfig:
    """Returns the configuration `authors`: the method authors' three files, which are a given split."""
    return InteractionConfig(
        name="authors",
        description="The processed files of the method's authors.",
        sources=read_all_by(AuthorsFormat(), MANUAL_FILES[dataset]["authors"]),
        rule="false_positive",
    )


def raw_configs(rule: str, sources: Mapping[str, Sequence[Source]]) -> list[InteractionConfig]:
    """Returns the configurations `raw` and `raw_beam` of a whole log: the same rows in the same order."""
    return [
        InteractionConfig(name="raw", description="The published log.", sources=sources, rule=rule),
        InteractionConfig(
            name="raw_beam", description="The published log, read by Apache Beam.", sources=sources, rule=rule, beam=True
        ),
    ]


def read_all_by(format: Format, tables: Tables, timed: bool = False) -> dict[str, list[Source]]:
    """Returns the sources of tables whose files are all in one format."""
    return {table: [Source(pattern, format, timed) for pattern in patterns] for table, patterns in tables.items()}


def choose_source(places: Sequence[tfds.core.Path], sources: Sequence[Source]) -> tuple[Source, list[tfds.core.Path]] | None:
    """Returns the source whose files are there, and the files; None if there are none; see `choose_files`."""
    by_pattern = {source.pattern: source for source in sources}
    chosen = choose_files(places, list(by_pattern))
    return (by_pattern[chosen[0]], chosen[1]) if chosen else None
