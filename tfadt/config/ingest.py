"""Settings of the stage `ingest`; `tfadt.config` has them among the others."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from tfadt.config.section import Section


class Columns(Section):
    """Which column of the input holds what. A default name is used where the input has it."""

    user: str = "user_id"
    """User id, text or integer."""
    item: str = "item_id"
    """Item id, text or integer."""
    rating: str = "rating"
    """Rating; below `feedback.rating_below` is a false positive."""
    dwell_time: str = "dwell_time"
    """Dwell time in seconds; below `feedback.dwell_time_below` is a false positive."""
    false_positive: str = "false_positive"
    """A given flag: 1 or true marks a false positive."""
    timestamp: str = "timestamp"
    """Time of the interaction, a number or a date; needed by the splits `time` and `leave_last_out`."""
    extra_feedback: str = "extra_feedback"
    """A given flag: 1 or true marks a training interaction that is known to be liked; nothing is no such knowledge."""


class Feedback(Section):
    """How a false positive is told (the paper's section 5: dwell time under 10 s, rating under 3)."""

    rule: Literal["auto", "rating", "dwell_time", "false_positive", "none"] = "auto"
    """Which column decides; `auto` takes the first of false_positive, rating, dwell_time that the input has."""
    rating_below: float = 3.0
    """A rating below this is a false positive."""
    dwell_time_below: float = Field(default=10.0, ge=0)
    """A dwell time below this, in seconds, is a false positive."""


class ExtraFeedback(Section):
    """Extra feedback D*: what is known to be liked beyond the clicks (the paper's section 3.4).

    A file or a column of one's own; else a share of the training true positives, as far as feedback tells them.
    """

    share: float = Field(default=0.1, ge=0, le=1)
    """Probability that a training true positive becomes known; 0 for none."""
    seed: int = Field(default=0, ge=0)
    """Seed of that draw."""
    file: Path | None = None
    """File of pairs that are known to be liked, its user and item columns named as the log's; its others are not read."""
    on_unknown: Literal["refuse", "drop"] = "refuse"
    """What to do with pairs of the file whose user or item training does not have."""
    on_absent: Literal["keep", "refuse"] = "keep"
    """What to do with pairs of the file that are not among the training clicks: positives all the same, or refused."""


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

    data: Path | None = None
    """One log to be split (or a folder written by `tfadt ingest`, or the common prefix of the authors' three files)."""
    train: Path | None = None
    """Training file of a given split."""
    valid: Path | None = None
    """Validation file of a given split."""
    test: Path | None = None
    """Test file of a given split."""
    dataset: str | None = None
    """Name of a TensorFlow Datasets data set, such as `movielens/100k-ratings` or `adressa` (see docs/datasets.md)."""
    manual_dir: Path | None = None
    """Folder of the files that `dataset` wants downloaded by hand; default: `manual` in TFDS's download folder."""
    simulate: bool = False
    """Use the simulated data set (the default when no other source is named)."""
    format: Literal["auto", "csv", "tsv", "parquet", "jsonl", "adt"] = "auto"
    """File format; `auto` goes by the file name, each also with .gz; `adt` is the authors' three-file format."""
    columns: Columns = Columns()
    feedback: Feedback = Feedback()
    extra_feedback: ExtraFeedback = ExtraFeedback()
    split: Split = Split()
    simulated: Simulated = Simulated()
    clean_test: bool = True
    """Test keeps true positives only."""
    on_overlap: Literal["refuse", "drop_from_test"] = "refuse"
    """What to do with a (user, item) pair that two given splits share."""
