"""Separated text (CSV, TSV, any separator): lines -> records -> fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tfadt.config.ingest import IngestConfig
from tfadt.data.database import Database, text
from tfadt.data.files import AUTHORS, File
from tfadt.data.lines import Lines, blank_as_none, read_lines
from tfadt.data.tables import Table
from tfadt.errors import DataError

WRONG_FIELDS = "wrong number of fields"
REPEATED_HEADER = "repeated header"
OPEN_QUOTE = "a quote is opened and not closed"
_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}
_PAIR = r"^\s*\(\s*([^,()]*[^,()\s])\s*,\s*([^,()]*[^,()\s])\s*\)\s*$"


@dataclass(frozen=True)
class Layout:
    """How a line is divided.

    Attributes:
        separator: What stands between fields.
        quotes: Whether `"` quotes a field.
        fields: How many a record has.
    """

    separator: str
    quotes: bool
    fields: int

    @property
    def split(self) -> str:
        """Expression of the fields of `__text`, VARCHAR[], quotes included."""
        plain = f"string_split(__text, {text(self.separator)})"
        if not self.quotes:
            return plain
        one = re.escape(self.separator)
        # A quoted field ends at the separator after its closing quote; a quote inside a field is text.
        pattern = f'{one}("(?:[^"]|"")*"[^{one}]*|[^{one}]*)'
        quoted = f"regexp_extract_all({text(self.separator)} || __text, {text(pattern)}, 1)"
        return f"CASE WHEN contains(__text, '\"') THEN {quoted} ELSE {plain} END"

    @property
    def is_open(self) -> str:
        """Expression of whether a line break stands in a field of `f` that is not quoted: a stray quote joined its lines."""
        if not self.quotes:
            return "false"
        unquoted = "contains(v, chr(10)) AND NOT (starts_with(v, '\"') AND ends_with(trim(v), '\"'))"
        return f"contains(__text, chr(10)) AND len(list_filter(f, lambda v: {unquoted})) > 0"

    def field(self, place: int) -> str:
        """Returns the expression of a field, counted from 1, of the fields `f`."""
        value = f"f[{place}]"
        if not self.quotes:
            return value
        inner = f"replace({value}[2:-2], '\"\"', '\"')"
        quoted = f"starts_with({value}, '\"') AND ends_with({value}, '\"') AND length({value}) > 1"
        return f"CASE WHEN {quoted} THEN {inner} ELSE {value} END"


def read_delimited(file: File, config: IngestConfig, database: Database) -> Table:
    """Returns the records of a file, every value as text.

    Raises:
        DataError: If it has no row.
    """
    lines = read_lines(file, config.encoding, database)
    if not lines.first:
        raise DataError(f"{file.path}: no line is text of the encoding {config.encoding} (ingest.encoding).")
    place, first = lines.first[0]
    if "\0" in first:
        raise DataError(
            f"{file.path}, line {place}: NUL characters. Expected {config.encoding} text; of UTF-16 without a mark at its "
            "start: ingest.encoding = 'utf-16'."
        )
    separator = _separator(file, config, first)
    quotes = config.quotes != "none" and lines.with_quotes > 0 and len(separator) == 1
    fields = fields_of(first, Layout(separator, quotes, 0), database.run)
    names = fields if config.header else [str(n) for n in range(1, len(fields) + 1)]
    layout = Layout(separator, quotes, len(names))
    notes: list[str] = []
    if quotes and lines.with_open_quotes:
        lines, notes = _join_quoted(lines, layout, config, file, database)
    elif config.header and '"' in first and lines.with_quotes == 1:
        layout = replace(layout, quotes=False)  # the names alone are quoted: a row need not be searched for quotes
    rows = [text for _, text in lines.first[1 if config.header else 0 :]]
    if not rows and not lines.broken:
        raise DataError(f"{file.path} has a header and no rows. Expected at least one row.")
    length = layout.fields
    if rows and config.header and rows[0].endswith(separator) and _all_end_empty(lines.sql, layout, first, file, database):
        length += 1
    return Table(
        file.path.name,
        delimited_sql(lines.sql, layout, first if config.header else None, length),
        {theirs: (f"__c{n}", "VARCHAR") for n, theirs in reversed(list(enumerate(names, 1)))},
        names,
        file.format,
        file.split,
        str(file.path),
        tuple(notes),
        lines=lines,
        header=place if config.header else 0,
    )


def delimited_sql(lines: str, layout: Layout, header: str | None = None, length: int | None = None, line: str = "") -> str:
    """Returns a SELECT of `__text`, `__defect` and the fields `__c1`, `__c2`, ... of lines.

    Args:
        lines: A SELECT of `__text` and `__defect`.
        layout: How a line is divided.
        header: The line that names the columns; it is no row where it returns.
        length: How many fields a line has, if that is not `layout.fields`.
        line: Columns of `lines` that are kept, each followed by a comma.
    """
    plain = "replace({}, '\"', '')" if layout.quotes else "{}"
    same = f"{plain.format('__text')} = {plain.format(text(header or ''))}"
    repeated = f"WHEN {same} THEN '{REPEATED_HEADER}'" if header is not None else ""
    selected = ", ".join(f"{layout.field(n)} AS __c{n}" for n in range(1, layout.fields + 1))
    return (
        f"SELECT {line}__text, CASE WHEN __defect IS NOT NULL THEN __defect {repeated} "
        f"WHEN len(f) <> {length or layout.fields} THEN '{WRONG_FIELDS}' WHEN {layout.is_open} THEN '{OPEN_QUOTE}' END "
        f"AS __defect, {selected} "
        f"FROM (SELECT {line}__text, __defect, {layout.split} AS f FROM ({lines}))"
    )


def _separator(file: File, config: IngestConfig, first: str) -> str:
    if config.separator is not None:
        return _NAMES.get(config.separator, config.separator)
    if file.format == "tsv":
        return "\t"
    outside = re.sub(r'"[^"]*"', "", first)
    return max(_SEPARATORS, key=outside.count)


def fields_of(line: str, layout: Layout, run: Callable[[str], list[tuple[Any, ...]]]) -> list[str]:
    """Returns the fields of one line.

    Args:
        line: The line.
        layout: How it is divided; how many fields it has is not asked.
        run: Runs a statement that reads no table.
    """
    split = f"SELECT {layout.split} AS f FROM (SELECT {text(line)} AS __text)"
    count = run(f"SELECT len(f) FROM ({split})")[0][0]
    return list(run(f"SELECT {', '.join(layout.field(n) for n in range(1, count + 1))} FROM ({split})")[0])


def _all_end_empty(records: str, layout: Layout, header: str, file: File, database: Database) -> bool:
    """Returns whether every row has one more field than the header, and nothing in it."""
    rows = f"SELECT {layout.split} AS f FROM ({records}) WHERE __defect IS NULL AND __text <> {text(header)}"
    found = database.run(f"SELECT bool_and(len(f) = {layout.fields + 1} AND f[-1] = '') FROM ({rows})", str(file.path))
    return bool(found[0][0])


def _join_quoted(
    lines: Lines, layout: Layout, config: IngestConfig, file: File, database: Database
) -> tuple[Lines, list[str]]:
    """Returns the records where quotes may span lines, in the place of their first line, and a note on how they were told.

    Lines are joined from an open quote to the next. With `quotes = "auto"` that is done only if fewer lines are then in
    broken records: otherwise a stray quote would swallow the rows up to the next one, or all that follow.
    """
    name = f"joined_{len(database.run('SHOW TABLES'))}"
    database.run(f"CREATE TABLE {name}_lines AS {lines.sql}", str(file.path))
    database.run(
        f"CREATE TABLE {name} AS WITH l AS (SELECT *, rowid AS place, coalesce((length(__text) - "
        f"length(replace(__text, '\"', ''))) % 2, 0) AS odd FROM {name}_lines), "
        "p AS (SELECT *, sum(odd) OVER (ORDER BY place) - odd AS before FROM l), "
        "r AS (SELECT *, count(*) FILTER (before % 2 = 0) OVER (ORDER BY place) AS record FROM p), "
        "j AS (SELECT min(place) AS place, string_agg(coalesce(__text, ''), chr(10) ORDER BY place) AS joined, "
        f"CASE WHEN sum(odd) % 2 = 1 THEN '{OPEN_QUOTE}' ELSE min(__defect) END AS defect FROM r GROUP BY record) "
        "SELECT nullif(joined, '') AS __text, defect AS __defect FROM l LEFT JOIN j USING (place) ORDER BY place",
        str(file.path),
    )

    def wrong(records: str) -> int:
        split = f"SELECT __text, __defect, {layout.split} AS f FROM (FROM {records})"
        broken = f"__defect IS NOT NULL OR len(f) <> {layout.fields} OR {layout.is_open}"
        size = "length(__text) - length(replace(__text, chr(10), '')) + 1"
        found = database.run(f"SELECT coalesce(sum({size}), 0) FROM ({split}) WHERE {broken}", str(file.path))
        return int(found[0][0])

    if config.quotes == "auto" and wrong(name) >= wrong(f"{name}_lines"):
        note = f"{file.path.name}: quotes that do not come in pairs are read as text (ingest.quotes)"
        return replace(lines, sql=f"SELECT * FROM {name}_lines"), [note]
    count = database.run(f"SELECT count(*) FILTER (contains(__text, chr(10))) FROM {name}")[0][0]
    note = f"{file.path.name}: {count:,} records have line breaks inside quotes"
    return replace(lines, sql=f"SELECT * FROM {name}"), [note]


def read_authors_file(file: File, config: IngestConfig, database: Database) -> Table:
    """Returns the rows of one of the three files of the method's authors; tab separated, without a header.

    `*.rating` has user, item, flag (1 a true positive, 0 a false positive). `*.test.negative` has user, item and only
    true positives; in the Adressa file the first field is the text `(user, item)`.
    """
    lines = read_lines(file, config.encoding, database)
    sql = authors_sql(blank_as_none(lines.sql), file.path.name)
    return Table(file.path.name, sql, AUTHORS_COLUMNS, list(AUTHORS_COLUMNS), "adt", file.split, str(file.path), lines=lines)


AUTHORS_COLUMNS = {"user_id": ("__c1", "VARCHAR"), "item_id": ("__c2", "VARCHAR"), "false_positive": ("__c3", "VARCHAR")}


def authors_sql(lines: str, name: str, line: str = "") -> str:
    """Returns a SELECT as `delimited_sql` does, of lines of the authors' file of a name."""
    if AUTHORS["test"] in name:
        pair = f"regexp_extract(f[1], {text(_PAIR)}, {{}})"
        is_pair = f"regexp_matches(f[1], {text(_PAIR)})"
        user = f"CASE WHEN {is_pair} THEN {pair.format(1)} ELSE f[1] END"
        item = f"CASE WHEN {is_pair} THEN {pair.format(2)} ELSE f[2] END"
        wrong, flag = f"NOT {is_pair} AND len(f) < 2", "'0'"
    else:
        # The file's flag is 1 for a true positive; ours is 1 for a false one. Another text (`yes`) would then mean the
        # opposite: it becomes what is no flag, and is rejected later.
        user, item, flag = "f[1]", "f[2]", "CASE trim(f[3]) WHEN '1' THEN '0' WHEN '0' THEN '1' WHEN '' THEN '' ELSE '?' END"
        wrong = "len(f) <> 3"
    defect = f"CASE WHEN __defect IS NOT NULL THEN __defect WHEN {wrong} THEN '{WRONG_FIELDS}' END AS __defect"
    return (
        f"SELECT {line}__text, {defect}, "
        f"{user} AS __c1, {item} AS __c2, {flag} AS __c3 FROM (SELECT *, string_split(__text, chr(9)) AS f FROM ({lines}))"
    )
