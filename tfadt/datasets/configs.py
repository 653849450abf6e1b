"""Configurations of the builders: which files a data set is read from, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import tensorflow_datasets as tfds

from tfadt.data.authors_format import SUFFIXES
from tfadt.datasets.files import find_files
from tfadt.datasets.formats import AuthorsFormat, Format
from tfadt.errors import DataError

DATES = 1_000_000
"""Ticks a second of times that are written as dates."""
_TFDS_SPLITS = {"train": "train", "valid": "validation", "test": "test"}


@dataclasses.dataclass(frozen=True)
class Source:
    """Files in one format that can be downloaded.

    Attributes:
        pattern: Glob in the manual directory; each file plain or as `.gz`.
        format: How their lines are read.
        ticks_per_second: Unit of their times (`DATES` for dates); None where rows have no time.
    """

    pattern: str
    format: Format
    ticks_per_second: int | None = None


@dataclasses.dataclass(eq=False, kw_only=True)
class InteractionConfig(tfds.core.BuilderConfig):
    """One way to build a data set.

    Attributes:
        sources: Split -> the sources that it may be read from, of which one must be there. A lone `train` is a whole log.
        rule: Feedback that tells a false positive: `rating`, `dwell_time` or `false_positive`.
        beam: Whether Apache Beam reads the files, in parallel.
    """

    sources: Mapping[str, Sequence[Source]]
    rule: str
    beam: bool = False

    @property
    def timed(self) -> bool:
        """Whether rows have a time."""
        return all(source.ticks_per_second for sources in self.sources.values() for source in sources)

    @property
    def patterns(self) -> str:
        """The files to put into the manual directory, for messages."""
        return ", ".join(" or ".join(source.pattern for source in sources) for sources in self.sources.values())


def authors_config(dataset: str) -> InteractionConfig:
    """Returns the configuration `authors`: the method authors' three files, which are a given split."""
    files = {_TFDS_SPLITS[split]: [Source(f"{dataset}{suffix}", AuthorsFormat())] for split, suffix in SUFFIXES.items()}
    return InteractionConfig(
        name="authors", description="The processed files of the method's authors.", sources=files, rule="false_positive"
    )


def raw_configs(rule: str, sources: Sequence[Source]) -> list[InteractionConfig]:
    """Returns the configurations `raw` and `raw_beam` of a whole log: the same rows in the same order."""
    files = {"train": sources}
    return [
        InteractionConfig(name="raw", description="The published log.", sources=files, rule=rule),
        InteractionConfig(
            name="raw_beam", description="The published log, read by Apache Beam.", sources=files, rule=rule, beam=True
        ),
    ]


def choose_source(places: Sequence[tfds.core.Path], sources: Sequence[Source]) -> tuple[Source, list[tfds.core.Path]] | None:
    """Returns the source whose files are there, and the files; None if there are none.

    Args:
        places: Folders to look into; the first that holds files of any source counts.
        sources: What may be there.

    Raises:
        DataError: If the files of several sources are there.
    """
    for place in places:
        found = [(source, files) for source in sources if (files := find_files(place, source.pattern))]
        if len(found) > 1:
            names = ", ".join(files[0].name for _, files in found)
            raise DataError(f"{place} holds {names}. Expected one of them: they are the same log in several formats.")
        if found:
            return found[0]
    return None
