"""What every reader gives, and how the configured columns are found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfadt.config.ingest import ALL, MISSING, Columns, IngestConfig
from tfadt.data.lines import Lines
from tfadt.data.values import Value, kind_of
from tfadt.errors import ConfigError, DataError, did_you_mean

# Names in common use, for a column whose configured name is the default one and which the input lacks.
ALTERNATIVES: Mapping[str, tuple[str, ...]] = {
    "user": ("userId", "user_id:token", "reviewer_id", "reviewerID", "customer_id", "visitorid"),
    "item": (
        *("itemId", "item_id:token", "movie_id", "movieId", "product_id", "parent_asin", "asin", "book_id", "business_id"),
        *("article_id", "itemid", "video_id"),
    ),
    "rating": ("user_rating", "star_rating", "stars", "overall", "rating:float"),
    "dwell_time": (),
    "false_positive": (),
    "timestamp": ("unix_timestamp", "unixReviewTime", "timestamp:float"),
    "extra_feedback": (),
}
# Validation and test need no such column: `ingest` asks for it where it is needed, in training.
_NEEDED_IN_TRAINING = "extra_feedback"
_SEPARATORS = {"::": "'::'", "\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar", " ": "a space"}


@dataclass(frozen=True)
class Table:
    """One input, as it is read.

    Attributes:
        name: What messages and the manifest call it: a file name, a data set's name, or `simulated`.
        sql: A SELECT of `__text` (the row as it stands, NULL for no row), `__defect` (why it cannot be parsed, or NULL), the
            columns, and `__line` (from 1) unless there are `lines`.
        columns: Name -> (expression, type) of each column that can be used.
        existing: All names, in order; a name that occurs twice stands there twice.
        format: Format that it was read as.
        split: The split that it is, or None for a log that is to be split.
        path: The file, for errors; empty for a table in memory.
        notes: What a reader of the manifest should know.
        lost: Rows that were rejected before they came to us, by reason.
        lines: The lines of a text file, whose place in `sql` is their number; None where rows have a number.
        header: Place of the line that is no row but the names of the columns.
    """

    name: str
    sql: str
    columns: Mapping[str, tuple[str, str]]
    existing: Sequence[str]
    format: str
    split: str | None = None
    path: str = ""
    notes: tuple[str, ...] = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    lines: Lines | None = None
    header: int = 0

    @property
    def label(self) -> str:
        """What errors call it."""
        return self.path or self.name


@dataclass(frozen=True)
class Source:
    """A table and what its columns of use hold.

    Attributes:
        table: The table.
        values: Our name (`user`, `item`, `rating`, ...) -> the value.
    """

    table: Table
    values: Mapping[str, Value]


def use_columns(table: Table, config: IngestConfig) -> Source:
    """Returns the columns of use of a table.

    Args:
        table: The table.
        config: Names of the columns, texts that mean a missing value.

    Raises:
        ConfigError: If one column is named for two purposes.
        DataError: If a needed column is not there, occurs twice, or holds what is no single value.
    """
    # The authors' files have no names of columns.
    columns = Columns() if table.format == "adt" else config.columns
    found = find_columns(columns, table.existing, table.label)
    values = {}
    for ours, theirs in found.items():
        expression, sql_type = table.columns[theirs]
        kind = kind_of(sql_type)
        if kind is None:
            raise DataError(f"{table.label}: column '{theirs}' holds {sql_type}. Expected text, numbers or dates.")
        texts = (*config.missing_values.get(ALL, MISSING), *config.missing_values.get(ours, ()))
        values[ours] = Value(expression, kind, texts)
    return Source(table, values)


def find_columns(columns: Columns, existing: Sequence[str], source: str) -> dict[str, str]:
    """Returns our name -> the input's name of each column that the input has.

    Args:
        columns: Configured names. Where a name is the default one and the input lacks it, a well-known alternative that
            the input has is used.
        existing: Names that the input has.
        source: Name of the input, for the message.

    Raises:
        ConfigError: If one column is named for two purposes.
        DataError: If user or item, or a column that was named in the configuration, is not there, or if a name that is
            needed occurs twice.
    """
    found: dict[str, str] = {}
    for ours, default in Columns().model_dump().items():
        wanted = getattr(columns, ours)
        candidates = (wanted, *ALTERNATIVES[ours]) if wanted == default else (wanted,)
        name = next((candidate for candidate in candidates if candidate in existing), None)
        if name is not None:
            if name in found.values():
                other = next(key for key, theirs in found.items() if theirs == name)
                raise ConfigError(
                    f"ingest.columns.{other} and ingest.columns.{ours} expect a column each. Received: '{name}' for both."
                )
            if existing.count(name) > 1:
                raise DataError(f"{source} has the column '{name}' {existing.count(name)} times. Expected it once.")
            found[ours] = name
        elif ours in ("user", "item") or (wanted != default and ours != _NEEDED_IN_TRAINING):
            raise missing_column(ours, wanted, source, existing)
    return found


def missing_column(ours: str, wanted: str, source: str, existing: Sequence[str]) -> DataError:
    """Returns the error that says which columns exist, with a guess at what went wrong."""
    if len(existing) == 1:
        sign = next((text for sign, text in _SEPARATORS.items() if sign in existing[0]), None)
        hint = f" Its only column looks like several: is the separator {sign}? ingest.separator sets it." if sign else ""
    else:
        alike = next((name for name in existing if name.strip().casefold() == wanted.casefold()), None)
        hint = did_you_mean(wanted, existing) if alike is None else f" Did you mean '{alike}'?"
        hint = hint if hint.startswith(" Did") else ""
    if list(existing) == [str(n) for n in range(1, len(existing) + 1)]:
        hint = f" Of a file without header: --set ingest.columns.{ours}=1, 2, ..."
    listed = ", ".join(f"'{name[:80]}'" for name in existing[:20]) + (", ..." if len(existing) > 20 else "")
    return DataError(
        f"{source} has no column '{wanted}' (set with ingest.columns.{ours}). Received the columns: {listed}.{hint}"
    )
