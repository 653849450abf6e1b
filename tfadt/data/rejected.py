"""The file of rejected rows, on request: every row that was not kept, where it stands and why."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tfadt.data.cleaning import FILE_BITS, PLACE_OF, Rules, reason
from tfadt.data.database import Database, text
from tfadt.data.pairs import DUPLICATE
from tfadt.data.tables import Source
from tfadt.errors import DataError


def write_rejected(path: Path, sources: Sequence[Source], rules: Rules, database: Database) -> None:
    """Writes a CSV file of `file`, `line`, `reason`, `text`: the rows that are neither kept nor set apart.

    Args:
        path: The file; its folder is made.
        sources: The inputs.
        rules: What decided about a row.
        database: Has the tables `pairs` and `coded`.

    Raises:
        DataError: If it cannot be written.
    """
    database.run(
        f"CREATE TABLE places AS SELECT {PLACE_OF} AS place, NULL AS why FROM coded UNION ALL "
        f"SELECT {PLACE_OF}, why FROM removed"
    )
    selects = []
    for number, source in enumerate(sources):
        place = f"{number << FILE_BITS} + __line"
        row = f"SELECT __line, __text, {place} AS place, {reason(source, rules)} AS reason FROM ({source.table.sql})"
        # A good row whose place nobody knows has lost its pair to another row.
        selects.append(
            f"SELECT {text(source.table.label)} AS file, __line AS line, coalesce(reason, why, '{DUPLICATE}') AS reason, "
            f"__text AS text FROM ({row}) AS r LEFT JOIN places AS p ON r.place = p.place "
            "WHERE reason IS NOT NULL OR why IS NOT NULL OR p.place IS NULL"
        )
    written = database.workspace / "rejected.csv"
    database.run(f"COPY (SELECT * FROM ({' UNION ALL '.join(selects)}) ORDER BY file, line) TO {text(str(written))} (HEADER)")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(written, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
