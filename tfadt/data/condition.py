"""The condition `ingest.where`: which rows of an input count."""

from __future__ import annotations

from dataclasses import replace

from tfadt.config.ingest import MISSING
from tfadt.data.database import Database, name, text
from tfadt.data.tables import Table
from tfadt.errors import ConfigError, DataError

LEFT_OUT = "left out by where"
_SAMPLE_ROWS = 1000


def apply_condition(table: Table, condition: str, database: Database) -> Table:
    """Returns the table with a defect in each row for which the condition is not true.

    The condition names the input's own columns. A text column whose first rows hold numbers alone is a number in it.

    Raises:
        ConfigError: If it is no condition over the columns of the table.
    """
    # Of names that differ by case alone, which SQL takes for one, the first counts.
    names = {theirs.casefold(): theirs for theirs in reversed(list(table.columns))}
    texts = [theirs for theirs in names.values() if table.columns[theirs][1] == "VARCHAR"]
    numbers = _numbers(table, texts, database)
    selected = ", ".join(
        f"{f'TRY_CAST({column} AS DOUBLE)' if theirs in numbers else column} AS {name(theirs)}"
        for theirs, (column, _) in ((theirs, table.columns[theirs]) for theirs in names.values())
    )
    sql = (
        "SELECT * REPLACE (CASE WHEN __defect IS NULL AND NOT coalesce(TRY((\n"
        f"{condition}\n)), false) THEN {text(LEFT_OUT)} ELSE __defect END AS __defect) "
        f"FROM (SELECT *, {selected} FROM ({table.sql}))"
    )
    try:
        database.run(f"SELECT __defect FROM ({sql}) LIMIT 1", table.label)
    except DataError as error:
        listed = ", ".join(f"'{theirs[:80]}'" for theirs in list(table.columns)[:20])
        reason = str(error).partition(" cannot be read: ")[2]
        raise ConfigError(
            f"ingest.where expects a condition in SQL over the columns of {table.label}: {listed}. Received: "
            f"{condition!r}. {reason}"
        ) from error
    return replace(table, sql=sql)


def _numbers(table: Table, texts: list[str], database: Database) -> set[str]:
    """Returns the text columns that hold a number, or nothing, in each of the first rows, and a number in one."""
    if not texts:
        return set()
    missing = ", ".join(map(text, ("", *MISSING)))
    tests = []
    for theirs in texts:
        column = table.columns[theirs][0]
        number, empty = f"TRY_CAST({column} AS DOUBLE) IS NOT NULL", f"{column} IS NULL OR trim({column}) IN ({missing})"
        tests.append(f"bool_and({number} OR {empty}) AND bool_or({number})")
    sample = f"SELECT * FROM ({table.sql}) WHERE __defect IS NULL AND __text IS NOT NULL LIMIT {_SAMPLE_ROWS}"
    found = database.run(f"SELECT {', '.join(tests)} FROM ({sample})", table.label)[0]
    return {theirs for theirs, is_number in zip(texts, found, strict=True) if is_number}
