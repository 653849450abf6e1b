"""Settings of the stage `ingest`; `tfadt.config` has them among the others."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tfadt.config.section import Section

MISSING = ("NaN", "nan", "NAN", "NA", "<NA>", "N/A", "#N/A", "null", "NULL", "(null)", "None", "\\N")
"""How a missing value is written in text, by pandas, R, SQL, spreadsheets and JSON; empty text is always missing."""


def _tuple(value: Any) -> Any:
    """Returns a list as a tuple, and a single value as a tuple of one."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _paths(value: Any) -> Any:
    return None if value is None else _tuple(value)


def _text(value: Any) -> Any:
    return str(value) if type(value) in (int, float) else value


def _by_column(value: Any) -> Any:
    by_column = value if isinstance(value, dict) else {ALL: value}
    return {name: tuple(_text(part) for part in _tuple(texts)) for name, texts in by_column.items()}


ALL = "all"
DATE = re.compile(r"\{date(?::([^}]*))?\}")
"""What stands for the day in a path: `{date}`, or `{date:%Y/%m/%d}` as strftime writes it."""
_DATED = ("data", "train", "valid", "test")
Paths = Annotated[tuple[Path, ...], BeforeValidator(_paths)]
"""Files, or one of them."""
Column = Annotated[str, BeforeValidator(_text)]
"""A column's name, the path of a nested field (`user.id`), or its place (1 is the first) in a file without header."""
Texts = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
"""Texts, or one of them."""
MissingValues = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_by_column)]
"""Texts for all columns, or for some of ours by name."""


class Columns(Section):
    """Which column of the input holds what. A default name is used where the input has it."""

    user: Column = "user_id"
    """User id, text or integer."""
    item: Column = "item_id"
    """Item id, text or integer."""
    rating: Column = "rating"
    """Rating; below `feedback.rating_below` is a false positive."""
    dwell_time: Column = "dwell_time"
    """Dwell time in `dwell_time_unit`; below `feedback.dwell_time_below` seconds is a false positive."""
    false_positive: Column = "false_positive"
    """A given flag: 1 or true marks a false positive."""
    timestamp: Column = "timestamp"
    """Time of the interaction, a number or a date; needed by the splits `time` and `leave_last_out`."""
    extra_feedback: Column = "extra_feedback"
    """A given flag: 1 or true marks an interaction that is known to be liked, 0 what `extra_feedback.zero_means` says;
    nothing is no such knowledge."""


class Feedback(Section):
    """How a false positive is told (the paper's section 5: dwell time under 10 s, rating under 3)."""

    rule: Literal["auto", "rating", "dwell_time", "false_positive", "none"] = "auto"
    """Which column decides; `auto` takes the first of false_positive, rating, dwell_time that the input has."""
    rating_below: float = 3.0
    """A rating below this is a false positive."""
    dwell_time_below: float = Field(default=10.0, ge=0)
    """A dwell time below this, in seconds, is a false positive."""


class ExtraFeedback(Section):
    """Extra feedback: which clicks are known to be liked (D* of the paper's section 3.4), and which to be disliked.

    A file or a column of one's own; else a share of the clicks, as far as feedback tells what they are. Nothing of the test
    split becomes known.
    """

    share: float = Field(default=0.1, ge=0, le=1)
    """Probability that the feedback of a training interaction becomes known, liked or not; 0 for none."""
    validation_share: float | None = Field(default=None, ge=0, le=1)
    """The same for a validation interaction; default: `share`. More than `share` makes choices on validation optimistic."""
    seed: int = Field(default=0, ge=0)
    """Seed of that draw."""
    file: Path | None = None
    """File of pairs that are known to be liked, its user and item columns named as the log's. A column of the name
    `columns.extra_feedback` tells liked and disliked pairs apart; its others are not read."""
    zero_means: Literal["unknown", "disliked"] = "unknown"
    """What 0 or false says in a column or file: nothing (a like button that was not pressed), or that it is disliked."""
    on_unknown: Literal["refuse", "drop"] = "refuse"
    """What to do with pairs of the file whose user or item training does not have."""
    on_absent: Literal["keep", "refuse"] = "keep"
    """What to do with liked pairs of the file that are no clicks of training: positives all the same, or refused."""


class Split(Section):
    """How one log becomes training, validation and test; not used when the three are given as files."""

    method: Literal["random", "time", "leave_last_out"] = "random"
    """`random`: a share of each user's interactions; `time`: the latest of the whole log; `leave_last_out`: each
    user's last interaction to test, the one before to validation."""
    valid: float = Field(default=0.1, ge=0, lt=1)
    """Share of validation (`random`, `time`)."""
    test: float = Field(default=0.1, gt=0, lt=1)
    """Share of test (`random`, `time`)."""
    seed: int = Field(default=0, ge=0)
    """Seed of the random split."""


class Simulated(Section):
    """Parameters of the simulated clicks (see docs/simulated.md)."""

    users: int = Field(default=3000, ge=2)
    """Number of users."""
    items: int = Field(default=1500, ge=2)
    """Number of items."""
    interactions: int = Field(default=100_000, ge=1)
    """Number of clicks aimed at."""
    dim: int = Field(default=8, ge=1)
    """Size of the latent tastes."""
    noise: float = Field(default=0.5, ge=0)
    """How much position and chance, rather than taste, decide a click; 0 clicks by taste alone."""
    feedback: Literal["rating", "dwell_time"] = "rating"
    """Which feedback follows a click."""
    seed: int = Field(default=0, ge=0)
    """Seed of the simulation."""


class IngestConfig(Section):
    """Stage `ingest`: from a log to one artifact folder."""

    data: Paths | None = None
    """One log to be split: files, folders and globs, read as one table (or one folder written by `tfadt ingest`, or the
    common prefix of the authors' three files)."""
    train: Paths | None = None
    """Training files of a given split."""
    valid: Paths | None = None
    """Validation files of a given split."""
    test: Paths | None = None
    """Test files of a given split."""
    dataset: str | None = None
    """Name of a TensorFlow Datasets data set, such as `movielens/100k-ratings` or `adressa` (see docs/datasets.md)."""
    manual_dir: Path | None = None
    """Folder of the files that `dataset` wants downloaded by hand; default: `manual` in TFDS's download folder."""
    date: datetime.date | None = Field(default=None, ge=datetime.date(1970, 1, 1))
    """Day that `{date}` in the paths above stands for, such as 2026-11-28; `{date:%Y/%m/%d}` writes it otherwise."""
    days: int = Field(default=1, ge=1, le=3660)
    """How many days, `date` the last of them: a path with `{date}` stands for one of each day."""
    simulate: bool = False
    """Use the simulated data set (the default when no other source is named)."""
    format: Literal["auto", "csv", "tsv", "parquet", "jsonl", "json", "adt"] = "auto"
    """File format; `auto` goes by the file name, each also with .gz or .zst; `json` is one array of objects; `adt` is the
    authors' three-file format."""
    separator: str | None = Field(default=None, min_length=1)
    """What stands between two fields of a text file, such as `;`, `::` or `tab`; default: a tab in .tsv, else what the
    first line shows."""
    header: bool = True
    """Whether the first line names the columns; without, `columns` has their places: 1, 2, ..."""
    quotes: Literal["auto", "rfc4180", "none"] = "auto"
    """Whether `"` quotes a field, over line breaks as well: `auto` takes quotes as text where that makes fewer broken
    rows."""
    encoding: Literal["utf-8", "utf-16", "latin-1"] = "utf-8"
    """Encoding of text files."""
    decimal_separator: Literal[".", ","] = "."
    """The decimal sign of numbers in text."""
    missing_values: MissingValues = Field(default={ALL: MISSING})
    """Texts that mean "no value", besides empty text: one list for all columns, or a list for each of ours (`rating`)."""
    timestamp_format: str | None = None
    """Format of times in text, as strptime has it (`%d/%m/%Y %H:%M`); default: ISO 8601, or numbers of s, ms, us or ns."""
    dwell_time_unit: Literal["s", "ms", "min"] = "s"
    """Unit of the dwell times."""
    where: str | None = None
    """Which rows count: a condition in SQL over the columns of the file, such as `is_click = 1 AND country = 'NO'`."""
    min_user_interactions: int = Field(default=1, ge=1)
    """Users with fewer interactions are left out (with `min_item_interactions`: until none has fewer)."""
    min_item_interactions: int = Field(default=1, ge=1)
    """Items with fewer interactions are left out."""
    columns: Columns = Columns()
    feedback: Feedback = Feedback()
    extra_feedback: ExtraFeedback = ExtraFeedback()
    split: Split = Split()
    simulated: Simulated = Simulated()
    clean_test: bool = True
    """Test keeps true positives only."""
    on_overlap: Literal["refuse", "drop_from_test"] | None = None
    """What to do with a (user, item) pair that two given splits share; default: drop_from_test for the authors' files and
    for data sets by name, whose splits are what they are, else refuse."""
    memory_limit: str | None = Field(default=None, pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")
    """Memory that reading may take, such as `4GB`, before it uses the disk; default: half of what is free."""
    rejected: Path | None = None
    """File (CSV) of every rejected row: file, line, reason and text."""
    runner: Literal["duckdb", "beam"] = "duckdb"
    """What reads the files of a log: DuckDB on this machine, or the workers of Apache Beam, each a file at a time."""
    runner_options: Texts = ()
    """Options of Apache Beam, such as `--runner=FlinkRunner`; default: its runner on this machine."""

    @model_validator(mode="after")
    def _fill_in_date(self) -> IngestConfig:
        """Puts the days into the paths, which are then as if they had been given so."""
        if self.date is None:
            return self
        named = {name: paths for name in _DATED if (paths := getattr(self, name))}
        if not any(DATE.search(str(path)) for paths in named.values() for path in paths):
            raise PydanticCustomError("date", "a day has its place in a path, such as ingest.data = 'logs/{date}'")
        days = [self.date - datetime.timedelta(before) for before in reversed(range(self.days))]
        filled = {name: tuple(_of_days(paths, days)) for name, paths in named.items()}
        self.__dict__.update(filled, date=None, days=1)  # the fields are frozen for everybody else
        return self


def _of_days(paths: Sequence[Path], days: Sequence[datetime.date]) -> Iterator[Path]:
    for path in map(str, paths):
        yield from map(Path, dict.fromkeys(_of_day(path, day) for day in days))


def _of_day(path: str, day: datetime.date) -> str:
    return DATE.sub(lambda match: day.strftime(match[1] or "%Y-%m-%d"), path)
