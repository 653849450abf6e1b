"""The rejected rows themselves: the first of each reason for the account, all of them on request."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfadt.data.cleaning import FILE_BITS, PLACE_OF, SAMPLE_ROWS, Rows
from tfadt.data.database import Database, text
from tfadt.data.pairs import DUPLICATE
from tfadt.data.tables import Source
from tfadt.errors import DataError

SAMPLE_LENGTH = 200
Samples = dict[str, list[dict[str, Any]]]
"""Reason -> `line` and `text` of the first rows that were rejected for it."""


def first_removed(database: Database) -> dict[int, dict[str, list[int]]]:
    """Returns the lines of the first rows that merging and splitting removed, by the number of their source and by reason.

    Args:
        database: Has the tables `removed` and `duplicates`.
    """
    found = database.run(
        f"SELECT place >> {FILE_BITS}, why, min(place & {(1 << FILE_BITS) - 1}, {SAMPLE_ROWS}) FROM (SELECT {PLACE_OF} AS "
        f"place, why FROM removed UNION ALL SELECT place, '{DUPLICATE}' FROM duplicates) GROUP BY ALL"
    )
    lines: dict[int, dict[str, list[int]]] = {}
    for number, why, places in found:
        lines.setdefault(number, {})[why] = list(places)
    return lines


def samples_of_rows(rows: Rows, removed: Mapping[str, Sequence[int]], database: Database) -> Samples:
    """Returns number and text of the first rejected rows of a source, by reason.

    Args:
        rows: The rows.
        removed: Lines of those that were removed later.
        database: Reads them.
    """
    found = f"SELECT reason, min(line, {SAMPLE_ROWS}) FROM ({rows.sql}) WHERE reason IS NOT NULL GROUP BY reason"
    samples = samples_of(rows.source, {**dict(database.run(found)), **removed}, database)
    of_file = rows.source.table.lines
    for line, defect, content in of_file.broken if of_file else ():
        sample = samples.setdefault(defect, [])
        if len(sample) < SAMPLE_ROWS:
            sample.append({"line": line, "text": content[:SAMPLE_LENGTH]})
    return samples


def samples_of(source: Source, lines: Mapping[str, Sequence[int]], database: Database) -> Samples:
    """Returns number and text of lines of a source, by reason."""
    texts = _texts(source, sorted({line for places in lines.values() for line in places}), database)
    of_file = source.table.lines
    return {
        why: [{"line": of_file.number(line) if of_file else line, "text": texts.get(line, "")} for line in places]
        for why, places in lines.items()
    }


def _texts(source: Source, lines: Sequence[int], database: Database) -> dict[int, str]:
    if not lines:
        return {}
    listed = ", ".join(map(str, lines))
    cut = f"CASE WHEN length(text) > {SAMPLE_LENGTH} THEN left(text, {SAMPLE_LENGTH}) || '...' ELSE text END"
    found = f"SELECT line, {cut} FROM ({_as_they_stand(source)}) WHERE line IN ({listed})"
    return dict(database.run(f"{found} LIMIT {len(lines)}", source.table.label))


def _as_they_stand(source: Source) -> str:
    table = source.table
    if table.lines is None:
        return f"SELECT __line AS line, __text AS text FROM ({table.sql})"
    return f"SELECT row_number() OVER () AS line, __text AS text FROM ({table.lines.sql})"


def write_rejected(path: Path, rows: Sequence[Rows], database: Database) -> None:
    """Writes a CSV file of `file`, `line`, `reason`, `text`: the rows that are neither kept nor set apart.

    Args:
        path: The file; its folder is made.
        rows: The rows of each source.
        database: Has the tables `coded` and `removed`.

    Raises:
        DataError: If it cannot be written.
    """
    database.run(
        f"CREATE TABLE places AS SELECT {PLACE_OF} AS place, NULL AS why FROM coded UNION ALL "
        f"SELECT {PLACE_OF}, why FROM removed"
    )
    selects = []
    for number, source in enumerate(rows):
        table = source.source.table
        place = f"SELECT *, {number << FILE_BITS} + line AS place FROM ({source.sql})"
        # A good row whose place nobody knows has lost its pair to another row.
        rejected = (
            f"SELECT r.line, coalesce(reason, why, '{DUPLICATE}') AS reason FROM ({place}) AS r LEFT JOIN places AS p "
            "ON r.place = p.place WHERE reason IS NOT NULL OR why IS NOT NULL OR p.place IS NULL"
        )
        line = "line"
        if table.lines and table.lines.broken:
            # As `Lines.number`: a line that was not counted comes before.
            before = ", ".join(str(n - k) for k, (n, _, _) in enumerate(table.lines.broken, 1))
            line = f"line + len(list_filter([{before}], lambda n: n < line))"
            for n, defect, content in table.lines.broken:
                selects.append(
                    f"SELECT {text(table.label)} AS file, {n} AS line, {text(defect)} AS reason, {text(content)} AS text"
                )
        selects.append(
            f"SELECT {text(table.label)} AS file, {line} AS line, reason, text "
            f"FROM ({rejected}) JOIN ({_as_they_stand(source.source)}) USING (line)"
        )
    written = database.workspace / "rejected.csv"
    database.run(
        f"COPY (SELECT * FROM ({' UNION ALL '.join(selects)}) ORDER BY file, line) TO {text(str(written))} (HEADER)"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(written, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
