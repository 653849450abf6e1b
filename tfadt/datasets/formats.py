"""A batch of lines -> a table, by the readers that `tfadt ingest` reads whole files with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from tfadt.data.authors_format import read_authors_file
from tfadt.data.delimited import WRONG_FIELDS, header_of, parse_delimited
from tfadt.data.json_lines import BROKEN, parse_object, scalars
from tfadt.data.tables import ReadResult, to_frame
from tfadt.datasets.files import FileRange
from tfadt.errors import DataError

NOT_TEXT = "not UTF-8 text"
OPEN_QUOTE = "a quote is opened and not closed"


class Format(Protocol):
    """How lines are read. Instances are pickled where Beam reads."""

    def header(self, first_line: bytes, path: str) -> tuple[str, ...]:
        """Returns the names in a file's first line, or none if that line is a row.

        Raises:
            DataError: If a column of use is not there.
        """

    def parse(self, lines: list[bytes], part: FileRange) -> ReadResult:
        """Returns the columns of use of a batch of lines of text, under our names."""


@dataclass(frozen=True)
class AuthorsFormat:
    """The method authors' three files; which of them, their names tell."""

    def header(self, first_line: bytes, path: str) -> tuple[str, ...]:
        """Returns nothing: the files have no header."""
        return ()

    def parse(self, lines: list[bytes], part: FileRange) -> ReadResult:
        """Returns user, item and false_positive."""
        return read_authors_file(b"".join(lines), Path(part.path))


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

    def parse(self, lines: list[bytes], part: FileRange) -> ReadResult:
        """Returns the columns of `fields`; a key that an object lacks is a missing value."""
        objects = [parse_object(line) for line in lines]
        records = [record for record in objects if record is not None]
        broken = len(lines) - len(records)
        return ReadResult(scalars(records, self.fields), len(lines), {BROKEN: broken} if broken else {})


@dataclass(frozen=True)
class Delimited:
    """CSV or TSV, one record a line.

    Attributes:
        fields: Our name -> the column's.
        separator: One character; a comma comes with quotes.
        names: Columns of a file whose first line does not name them.
    """

    fields: Mapping[str, str]
    separator: str = ","
    names: tuple[str, ...] = ()

    def header(self, first_line: bytes, path: str) -> tuple[str, ...]:
        """Returns the names in the first line if all columns of use are among them."""
        readable = first_line.strip() and _is_text(first_line)
        found = tuple(header_of(first_line.rstrip(b"\r\n") + b"\n", self.separator)) if readable else ()
        missing = next((name for name in self.fields.values() if name not in found), None)
        if missing is None:
            return found
        # Names in a line of names would be read by their place, and users might become items.
        is_row = len(found) == len(self.names) and any(_is_number(value) for value in found)
        if not is_row:
            listed = ", ".join(f"'{name[:80]}'" for name in found[:20])
            raise DataError(f"{path} has no column '{missing}'. Received the columns: {listed or 'none'}.")
        return ()

    def parse(self, lines: list[bytes], part: FileRange) -> ReadResult:
        """Returns the columns of `fields` as text."""
        quotes = self.separator == ","
        paired = [line for line in lines if not (quotes and line.count(b'"') % 2)]
        names = list(part.header or self.names)
        if not paired:
            return ReadResult(pd.DataFrame(columns=list(self.fields)), len(lines), {OPEN_QUOTE: len(lines)})
        table, bad_rows, _ = parse_delimited(b"".join(paired), self.separator, names, quotes, list(self.fields.values()))
        rows = table.num_rows + bad_rows
        # Quotes in pairs still join lines where one of them stands inside a value; a carriage return divides a line.
        rejected = {WRONG_FIELDS: bad_rows, OPEN_QUOTE: max(len(lines) - rows, 0)}
        rejected = {reason: count for reason, count in rejected.items() if count}
        return ReadResult(to_frame(table, dict(self.fields)), max(len(lines), rows), rejected)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def text_lines(lines: list[bytes]) -> list[bytes]:
    """Returns the lines that are UTF-8 text; most batches are, and are then checked as a whole."""
    return lines if _is_text(b"".join(lines)) else [line for line in lines if _is_text(line)]


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in content
