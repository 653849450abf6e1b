"""The rejected rows themselves: the first of each reason for the account, all of them on request."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tfadt.data.cleaning import FILE_BITS, FILE_OF, PLACE_OF, Account, Rows
from tfadt.data.database import Database, text
from tfadt.data.files import SPLITS
from tfadt.data.pairs import DUPLICATE
from tfadt.errors import DataError

SAMPLE_ROWS, SAMPLE_LENGTH = 3, 200
_LINE_OF = f"({PLACE_OF} & {(1 << FILE_BITS) - 1})"


def add_samples(accounts: Sequence[Account], rows: Sequence[Rows], database: Database) -> None:
    """Puts number and text of the first rejected rows of each reason into the accounts."""
    merged = "removed" in {name for (name,) in database.run("SHOW TABLES")}
    if merged and any(account.rejected[DUPLICATE] for account in accounts):
        # A table of its own, so that the database knows how few they are and looks them up rather than the rows.
        database.run(
            "CREATE OR REPLACE TEMP TABLE repeated AS SELECT part, u.id::VARCHAR AS user, i.id::VARCHAR AS item, key "
            "FROM pairs AS p JOIN all_users AS u ON p.user = u.code JOIN all_items AS i ON p.item = i.code WHERE p.n > 1"
        )
    for number, (account, source) in enumerate(zip(accounts, rows, strict=True)):
        if not account.rejected:
            continue
        rejected = f"SELECT line, reason AS why FROM ({source.sql}) WHERE reason IS NOT NULL"
        if merged:
            rejected += f" UNION ALL SELECT {_LINE_OF}, why FROM removed WHERE {FILE_OF} = {number}"
        found = database.run(f"SELECT why, arg_min(line, line, {SAMPLE_ROWS}) FROM ({rejected}) GROUP BY why")
        lines = {why: list(places) for why, places in found}
        if account.rejected[DUPLICATE] and merged and (lost := _first_duplicates(source, number, database)):
            lines[DUPLICATE] = lost
        texts = _texts(source, sorted({line for places in lines.values() for line in places}), database)
        of_file = source.source.table.lines
        for why, places in lines.items():
            account.samples[why] = [
                {"line": of_file.number(line) if of_file else line, "text": texts.get(line, "")} for line in places
            ]
        for line, defect, content in of_file.broken if of_file else ():
            sample = account.samples.setdefault(defect, [])
            if len(sample) < SAMPLE_ROWS:
                sample.append({"line": line, "text": content[:SAMPLE_LENGTH]})


def _first_duplicates(source: Rows, number: int, database: Database) -> list[int]:
    """Returns the first rows of a source that lost their pair to another row."""
    split = source.source.table.split
    ids = ", ".join(f"{source.text(ours)} AS {ours}" for ours in ("user", "item"))
    kept = f"FROM repeated WHERE part = {SPLITS.index(split) if split else 0}"
    found = database.run(
        f"SELECT line FROM (SELECT line, {ids} FROM ({source.sql}) WHERE reason IS NULL AND time IS NOT NULL) "
        f"JOIN ({kept}) USING (user, item) WHERE {FILE_OF} <> {number} OR {_LINE_OF} <> line "
        f"ORDER BY line LIMIT {SAMPLE_ROWS}"
    )
    return [line for (line,) in found]


def _texts(source: Rows, lines: Sequence[int], database: Database) -> dict[int, str]:
    if not lines:
        return {}
    listed = ", ".join(map(str, lines))
    cut = f"CASE WHEN length(text) > {SAMPLE_LENGTH} THEN left(text, {SAMPLE_LENGTH}) || '...' ELSE text END"
    found = f"SELECT line, {cut} FROM ({_as_they_stand(source)}) WHERE line IN ({listed})"
    return dict(database.run(f"{found} LIMIT {len(lines)}", source.source.table.label))


def _as_they_stand(source: Rows) -> str:
    table = source.source.table
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
            f"FROM ({rejected}) JOIN ({_as_they_stand(source)}) USING (line)"
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
