"""First pass over a source: what each row says, why it is rejected, and the account of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tfadt.config.ingest import IngestConfig
from tfadt.data import feedback
from tfadt.data.database import Database, text
from tfadt.data.tables import Source
from tfadt.data.values import Value

NO_TIME = "timestamp missing, or no number and no ISO 8601 date"
# A key orders the rows of a pair: time, then place in the input, then (deciding nothing) what the row says.
_TIME = "18446744073709551616"  # 2^64
UNTIMED = -(2**63)
_MANY_ROWS = 50_000_000
_FIRST_ROWS = 10_000
FILE_BITS, FLAG_BITS = 40, 3
SAMPLE_ROWS = 3
"""How many rejected rows of a source are kept as samples, for each reason."""
LOW_OF = "(key & 18446744073709551615::HUGEINT)::UBIGINT"
TIME_OF = "(key >> 64)::BIGINT"
PLACE_OF = f"({LOW_OF} >> {FLAG_BITS})::BIGINT"
FILE_OF = f"({LOW_OF} >> {FILE_BITS + FLAG_BITS})::INT"
DISLIKED_OF = "((key & 1) = 1)"
KNOWN_LIKED_OF = "((key & 6) = 2)"
UNREADABLE_KNOWN_OF = "((key & 6) = 4)"
KNOWN_DISLIKED_OF = "((key & 6) = 6)"


@dataclass(frozen=True)
class Rules:
    """What decides about a row.

    Attributes:
        rule: The feedback that tells a false positive.
        needs_time: Whether a row without time is rejected.
        config: Settings.
        extra: Where extra feedback comes from: `file`, `column`, `sample` or `none`.
    """

    rule: str
    needs_time: bool
    config: IngestConfig
    extra: str = "none"


@dataclass(frozen=True)
class Rows:
    """The rows of a source, read.

    Attributes:
        source: The source.
        sql: A SELECT of `line`, `reason` (NULL for a good row), `user`, `item` (as text, or as the source has them where it
            has integers), `number` (the feedback), `time` (microseconds or NULL), `written` (whether a time stands there),
            `flags` (1: disliked; by extra feedback 2: liked, 6: disliked, 4: what stands there is no flag).
        is_integer: Whether `user`, `item` are BIGINT.
    """

    source: Source
    sql: str
    is_integer: dict[str, bool]

    def integer(self, ours: str) -> str:
        """Returns the expression of an id as BIGINT, NULL where it is none."""
        return ours if self.is_integer[ours] else Value(ours, "text").as_integer

    def text(self, ours: str) -> str:
        """Returns the expression of an id as text."""
        return f"{ours}::VARCHAR"

    def key(self, number: int) -> str:
        """Returns the expression of a row's key, HUGEINT: the row of a pair with the largest one is kept.

        Args:
            number: Place of the source among the sources.
        """
        return key_of(f"coalesce(time, {UNTIMED})", f"(({number << FILE_BITS} + line) * {1 << FLAG_BITS} + flags)")


def key_of(time: str, low: str) -> str:
    """Returns the expression of a key, HUGEINT, of its parts `TIME_OF` and `LOW_OF`."""
    return f"{time}::HUGEINT * {_TIME} + {low}"


def clean(source: Source, number: int, rules: Rules, database: Database) -> Rows:
    """Reads the rows of a source; those of a text file, which is slow to read, into a table.

    Args:
        source: The source.
        number: Its place among the sources.
        rules: What decides about a row.
        database: Reads the source.
    """
    sql, table = rows_sql(source, rules), source.table
    if table.lines:
        name = f"rows_{number}" if number >= 0 else "rows_beside"
        # Temporary tables are not compressed, which is faster as long as they fit on the disk.
        temporary = "TEMP" if table.lines.count < _MANY_ROWS else ""
        database.run(f"CREATE {temporary} TABLE {name} AS {sql}", table.label)
        # What is no row, and the names of the columns, keep their place and are not counted.
        sql = f"SELECT rowid + 1 AS line, * FROM {name} WHERE reason IS DISTINCT FROM '' AND rowid <> {table.header - 1}"
    return Rows(source, sql, {ours: _is_integer(source, ours) for ours in ("user", "item")})


def _is_integer(source: Source, ours: str) -> bool:
    return source.values[ours].kind == "integer"


def rows_sql(source: Source, rules: Rules) -> str:
    """Returns a SELECT of the rows of a source as `Rows.sql` has them, without `line` for a text file."""
    values, rule = source.values, rules.rule
    columns, checks = {}, []
    for ours in ("user", "item"):
        value = values[ours]
        columns[ours] = value.as_integer if _is_integer(source, ours) else value.as_text
        columns[f"no_{ours}"] = f"{value.missing} OR NOT {value.is_id}"
        checks.append((f"no_{ours}", f"{ours}_id missing"))
        if value.kind == "text" and source.table.format not in ("csv", "tsv", "adt"):  # There the line is rejected.
            checks.append((f"contains({ours}, chr(0))", f"{ours}_id with a control character"))
    columns["number"], columns["no_feedback"], found = feedback.read(values.get(rule), rule, rules.config)
    checks += found
    time = values.get("timestamp")
    columns["written"] = "false" if time is None else f"NOT {time.missing}"
    columns["read_time"] = "0::BIGINT" if time is None else time.as_time(rules.config.timestamp_format)
    if rules.needs_time:
        checks.append(("read_time IS NULL OR NOT written", NO_TIME))
    known = values.get("extra_feedback")
    columns["known"] = "0"
    if known is not None:
        zero = 6 if rules.config.extra_feedback.zero_means == "disliked" else 0
        flag = f"CASE WHEN {known.as_flag} THEN 2 WHEN NOT {known.as_flag} THEN {zero} ELSE 4 END"
        columns["known"] = f"CASE WHEN {known.missing} THEN 0 ELSE {flag} END"
    line = "" if source.table.lines else "__line AS line, "
    empty = "__text IS NULL AS empty, " if source.table.lines else "false AS empty, "
    read = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    cases = " ".join(f"WHEN {condition} THEN {text(why)}" for condition, why in checks)
    flags = f"known + coalesce(({feedback.disliked(rule, rules.config.feedback)})::INT, 0)"
    reason = f"CASE WHEN empty THEN '' WHEN defect IS NOT NULL THEN defect {cases} END AS reason"
    return (
        f"SELECT {'' if source.table.lines else 'line, '}{reason}, "
        f"user, item, number, {'read_time' if time is None else 'CASE WHEN written THEN read_time END'} AS time, written, "
        f"({flags})::UTINYINT AS flags FROM (SELECT {line}{empty}__defect AS defect, {read} FROM ({source.table.sql}))"
    )


@dataclass
class Account:
    """The rows of one source.

    Attributes:
        rows_in: Rows that came in.
        rejected: How many were rejected, by reason.
        samples: Number and text of the first rejected rows of each reason.
        ranges: Smallest and largest kept value of the rule's column.
        integers: Whether every kept id is an integer, of `user` and `item`.
        decimals: Whether one of them is then written with decimals.
        untimed, unreadable: Kept rows without a time; those of them where something stands that is none.
        middle: Median of the dwell times in the first rows.
    """

    rows_in: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    ranges: dict[str, list[float]] = field(default_factory=dict)
    integers: dict[str, bool] = field(default_factory=dict)
    decimals: dict[str, bool] = field(default_factory=dict)
    untimed: int = 0
    unreadable: int = 0
    middle: float = 0.0

    @property
    def kept(self) -> int:
        """Rows that are not rejected."""
        return self.rows_in - sum(self.rejected.values())

    def summary(self) -> dict[str, Any]:
        """Returns the account for the manifest."""
        found = {"in": self.rows_in, "rejected": dict(sorted(self.rejected.items()))}
        more = {"ranges": self.ranges, "samples": dict(sorted(self.samples.items()))}
        return found | {name: value for name, value in more.items() if value}


def examine(rows: Rows, rules: Rules, database: Database) -> Account:
    """Returns the account of a source's rows, before any pair is merged."""
    aggregates = [f"bool_and({rows.integer(ours)} IS NOT NULL) AS {ours}" for ours in ("user", "item")]
    for ours in ("user", "item"):
        dots = "false" if rows.is_integer[ours] else f"bool_or(contains({ours}, '.'))"
        aggregates.append(f"{dots} AS {ours}_decimals")
    found = database.records(
        f"SELECT reason, count(*) AS n, {', '.join(aggregates)}, min(number) AS low, max(number) AS high, "
        "count(*) FILTER (time IS NULL) AS untimed, count(*) FILTER (time IS NULL AND written) AS unreadable "
        f"FROM ({rows.sql}) GROUP BY reason",
        rows.source.table.label,
    )
    table = rows.source.table
    lost = Counter(table.lost)
    lost.update(defect for _, defect, _ in (table.lines.broken if table.lines else ()))
    account = Account(sum(row["n"] for row in found) + sum(lost.values()), lost)
    account.rejected.update({row["reason"]: row["n"] for row in found if row["reason"] is not None})
    good = next((row for row in found if row["reason"] is None), None)
    if good is not None:
        account.integers = {ours: good[ours] for ours in ("user", "item")}
        account.decimals = {ours: good[ours] and good[f"{ours}_decimals"] for ours in ("user", "item")}
        account.untimed, account.unreadable = good["untimed"], good["unreadable"]
        if rules.rule not in ("none", "false_positive"):
            account.ranges[rules.rule] = [good["low"], good["high"]]
        if rules.rule == "dwell_time":
            first = f"SELECT number FROM ({rows.sql}) WHERE reason IS NULL LIMIT {_FIRST_ROWS}"
            account.middle = database.run(f"SELECT median(number) FROM ({first})", table.label)[0][0]
    return account
