"""How the lines of a file are read: by the SQL that `tfadt ingest` reads whole files with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tfadt.config.ingest import MISSING
from tfadt.data.database import text
from tfadt.data.delimited import AUTHORS_COLUMNS, Layout, authors_sql, delimited_sql, fields_of
from tfadt.data.json_objects import objects_sql
from tfadt.data.tables import Source, Table
from tfadt.data.values import Value
from tfadt.datasets.database import LINES, decoded, run
from tfadt.datasets.files import FileRange
from tfadt.errors import DataError

_NUMBERED = "__line, "


class Format(Protocol):
    """How lines are read. Instances are pickled where Beam reads."""

    def header(self, first_line: bytes, path: str) -> tuple[str, ...]:
        """Returns the names in a file's first line, or none if that line is a row.

        Raises:
            DataError: If a column of use is not there.
        """

    def source(self, part: FileRange) -> Source:
        """Returns the rows of the table `lines`, which holds lines of a range, with the columns of use under our names."""


@dataclass(frozen=True)
class AuthorsFormat:
    """The method authors' three files; which of them, their names tell."""

    def header(self, first_line: bytes, path: str) -> tuple[str, ...]:
        """Returns nothing: the files have no header."""
        return ()

    def source(self, part: FileRange) -> Source:
        """Returns user, item and false_positive."""
        columns = {ours.removesuffix("_id"): column for ours, (column, _) in AUTHORS_COLUMNS.items()}
        return _source(part, authors_sql(LINES, Path(part.path).name, _NUMBERED), columns)


@dataclass(frozen=True)
class JsonLines:
    """One JSON object a line.

    Attributes:
        fields: Our name -> the object's key.
    """

    fields: Mapping[str, str]

    def header(self, first_line: bytes, path: str) -> tuple[str, ...]:
        """Returns nothing: each line names its values."""
        return ()

    def source(self, part: FileRange) -> Source:
        """Returns the columns of `fields`; a key that an object lacks is a missing value."""
        columns = {ours: f"__c{n}" for n, ours in enumerate(self.fields, 1)}
        return _source(part, objects_sql(LINES, list(self.fields.values()), _NUMBERED), columns)


@dataclass(frozen=True)
class Delimited:
    """CSV or TSV, one record a line.

    Attributes:
        fields: Our name -> the column's.
        separator: One character; a comma comes with quotes.
        names: Columns of a file whose first line does not name them.
        only: A column, what it says in the rows that count, and why the others are rejected; None if all count.
    """

    fields: Mapping[str, str]
    separator: str = ","
    names: tuple[str, ...] = ()
    only: tuple[str, str, str] | None = None

    def header(self, first_line: bytes, path: str) -> tuple[str, ...]:
        """Returns the names in the first line if all columns of use are among them."""
        line = (decoded(first_line) or "").rstrip("\r\n")
        found = tuple(fields_of(line, self._layout(0), run)) if line.strip() and "\0" not in line else ()
        needed = [*self.fields.values(), *(self.only or ())[:1]]
        missing = next((name for name in needed if name not in found), None)
        if missing is None:
            return found
        # Names in a line of names would be read by their place, and users might become items.
        is_row = len(found) == len(self.names) and any(_is_number(value) for value in found)
        if not is_row:
            listed = ", ".join(f"'{name[:80]}'" for name in found[:20])
            raise DataError(f"{path} has no column '{missing}'. Received the columns: {listed or 'none'}.")
        return ()

    def source(self, part: FileRange) -> Source:
        """Returns the columns of `fields` as text."""
        names = part.header or self.names
        columns = {ours: f"__c{names.index(theirs) + 1}" for ours, theirs in self.fields.items()}
        sql = delimited_sql(LINES, self._layout(len(names)), line=_NUMBERED)
        if self.only is not None:
            column, wanted, why = self.only
            other = f"__defect IS NULL AND __c{names.index(column) + 1} IS DISTINCT FROM {text(wanted)}"
            sql = f"SELECT * REPLACE (CASE WHEN {other} THEN {text(why)} ELSE __defect END AS __defect) FROM ({sql})"
        return _source(part, sql, columns)

    def _layout(self, fields: int) -> Layout:
        return Layout(self.separator, quotes=self.separator == ",", fields=fields)


def _source(part: FileRange, sql: str, columns: Mapping[str, str]) -> Source:
    values = {ours: Value(column, "text", MISSING) for ours, column in columns.items()}
    return Source(Table(part.path, sql, {}, list(columns), "tfds"), values)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
