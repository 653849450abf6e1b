"""What every reader returns, and how the configured column names are found in an input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from tfadt.config.ingest import Columns
from tfadt.errors import ConfigError, DataError, did_you_mean

# Names in common use, for a column whose configured name is the default one and which the input lacks.
ALTERNATIVES = {
    "user": ("userId", "reviewer_id", "customer_id"),
    "item": ("itemId", "movie_id", "movieId", "product_id", "book_id", "business_id"),
    "rating": ("user_rating", "star_rating", "stars"),
    "dwell_time": (),
    "false_positive": (),
    "timestamp": ("unix_timestamp",),
    "extra_feedback": (),
}
# Validation and test need no such column: `ingest` asks for it where it is needed, in training.
_NEEDED_IN_TRAINING = "extra_feedback"
_SEPARATORS = {"\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar", " ": "a space"}


@dataclass(frozen=True)
class ReadResult:
    """One table as it was read.

    Attributes:
        frame: The columns that are of use, under our names (`user`, `item`, `rating`, `dwell_time`, `false_positive`,
            `timestamp`), values as they stand in the input.
        rows_in: Rows of the input, those that could not be parsed included.
        rejected: Rows that could not be parsed, by reason.
        existing: Names of all columns of the input.
        format: Format that it was read as.
        notes: What a reader of the manifest should know.
    """

    frame: pd.DataFrame
    rows_in: int
    rejected: dict[str, int] = field(default_factory=dict)
    existing: Sequence[str] = ()
    format: str = ""
    notes: tuple[str, ...] = ()


def to_frame(table: pa.Table, found: dict[str, str]) -> pd.DataFrame:
    """Returns the columns `found` (our name -> the table's) under our names; missing integers do not become floats."""
    nullable = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype(), pa.int32(): pd.Int32Dtype()}
    selected = table.select(list(found.values())).rename_columns(list(found)).replace_schema_metadata(None)
    # Nullable integers are slower, so they are used only where a value is missing.
    lacking = any(column.null_count for column in selected.columns)
    frame: pd.DataFrame = selected.to_pandas(types_mapper=nullable.get if lacking else None)
    return frame


def find_columns(columns: Columns, existing: Iterable[str], source: str) -> dict[str, str]:
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
    names = list(existing)
    found: dict[str, str] = {}
    for ours, default in Columns().model_dump().items():
        wanted = getattr(columns, ours)
        candidates = (wanted, *ALTERNATIVES[ours]) if wanted == default else (wanted,)
        name = next((candidate for candidate in candidates if candidate in names), None)
        if name is not None:
            if name in found.values():
                other = next(key for key, theirs in found.items() if theirs == name)
                raise ConfigError(
                    f"ingest.columns.{other} and ingest.columns.{ours} expect a column each. Received: '{name}' for both."
                )
            if names.count(name) > 1:
                raise DataError(f"{source} has the column '{name}' {names.count(name)} times. Expected it once.")
            found[ours] = name
        elif ours in ("user", "item") or (wanted != default and ours != _NEEDED_IN_TRAINING):
            raise missing_column(ours, wanted, source, names)
    return found


def missing_column(ours: str, wanted: str, source: str, existing: Sequence[str]) -> DataError:
    """Returns the error that says which columns exist, with a guess at what went wrong."""
    if len(existing) == 1:
        sign = next((text for sign, text in _SEPARATORS.items() if sign in existing[0]), None)
        hint = f" Its only column looks like several: is the separator {sign}?" if sign else " Is the separator right?"
    else:
        hint = did_you_mean(wanted, existing)
        hint = hint if hint.startswith(" Did") else ""
    listed = ", ".join(f"'{name[:80]}'" for name in existing[:20]) + (", ..." if len(existing) > 20 else "")
    return DataError(
        f"{source} has no column '{wanted}' (set with ingest.columns.{ours}). Received the columns: {listed}.{hint}"
    )
