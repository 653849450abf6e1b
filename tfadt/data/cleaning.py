"""First pass over a source: why each row is rejected, and what the rows that are kept are like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tfadt.config.ingest import IngestConfig
from tfadt.data import feedback
from tfadt.data.database import Database, text
from tfadt.data.tables import Source

NO_TIME = "timestamp missing, or no number and no ISO 8601 date"
SAMPLE_ROWS, SAMPLE_LENGTH = 3, 200
# A key orders the rows of a pair: time, then place in the input, then (deciding nothing) what the row says.
_TIME = "18446744073709551616"  # 2^64
UNTIMED = -(2**63)
FILE_BITS, FLAG_BITS = 40, 3


@dataclass(frozen=True)
class Rules:
    """What decides about a row.

    Attributes:
        rule: The feedback that tells a false positive.
        needs_time: Whether a row without time is rejected.
        config: Settings.
    """

    rule: str
    needs_time: bool
    config: IngestConfig


@dataclass
class Account:
    """The rows of one source.

    Attributes:
        rows_in: Rows that came in.
        rejected: How many were rejected, by reason.
        samples: Number and text of the first rejected rows of each reason.
        ranges: Smallest and largest kept value of the rule's column.
        integers: Whether every kept id is an integer, of `user` and `item`.
        decimals: Whether one of them is written with decimals.
        untimed, unreadable: Kept rows without a time; those of them where something stands that is none.
        usable: Rows that can be used, before pairs are merged.
        disliked: Those of them that are false positives.
    """

    rows_in: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    ranges: dict[str, list[float]] = field(default_factory=dict)
    integers: dict[str, bool] = field(default_factory=dict)
    decimals: dict[str, bool] = field(default_factory=dict)
    untimed: int = 0
    unreadable: int = 0
    usable: int = 0
    disliked: int = 0

    @property
    def kept(self) -> int:
        """Rows that are not rejected."""
        return self.rows_in - sum(self.rejected.values())

    def summary(self) -> dict[str, Any]:
        """Returns the account for the manifest."""
        found = {"in": self.rows_in, "rejected": dict(sorted(self.rejected.items()))}
        more = {"ranges": self.ranges, "samples": dict(sorted(self.samples.items()))}
        return found | {name: value for name, value in more.items() if value}


def reason(source: Source, rules: Rules) -> str:
    """Returns the expression of the first reason why a row is rejected; NULL for a good row."""
    found = []
    for ours in ("user", "item"):
        value = source.values[ours]
        found.append((f"{value.missing} OR NOT {value.is_id}", f"{ours}_id missing"))
    if rules.rule != "none":
        found += feedback.checks(source.values[rules.rule], rules.rule, rules.config)
    if rules.needs_time:
        found.append((f"({_time(source, rules)}) IS NULL", NO_TIME))
    cases = " ".join(f"WHEN {condition} THEN {text(why)}" for condition, why in found)
    return f"CASE WHEN __defect IS NOT NULL THEN __defect {cases} END"


def _time(source: Source, rules: Rules) -> str:
    value = source.values.get("timestamp")
    if value is None:
        return "NULL::BIGINT"
    return f"CASE WHEN NOT {value.missing} THEN {value.as_time(rules.config.timestamp_format)} END"


def key(source: Source, number: int, rules: Rules) -> str:
    """Returns the expression of a row's key, HUGEINT: the row of a pair with the largest one is kept.

    Args:
        source: The source.
        number: Its place among the sources.
        rules: What decides about a row.
    """
    disliked = "0" if rules.rule == "none" else f"({feedback.disliked(source.values[rules.rule], rules.rule, rules.config)})::INT"
    known = source.values.get("extra_feedback")
    flag = "0" if known is None else f"CASE WHEN {known.missing} THEN 0 WHEN {known.as_flag} IS NULL THEN 4 WHEN {known.as_flag} THEN 2 ELSE 0 END"
    place = f"(({number << FILE_BITS} + __line) * {1 << FLAG_BITS} + {disliked} + {flag})"
    time = f"coalesce({_time(source, rules)}, {UNTIMED})" if "timestamp" in source.values else "0"
    return f"({time})::HUGEINT * {_TIME} + {place}"


TIME_OF = "(key >> 64)::BIGINT"
PLACE_OF = f"((key & 18446744073709551615::HUGEINT)::UBIGINT >> {FLAG_BITS})::BIGINT"
FILE_OF = f"((key & 18446744073709551615::HUGEINT)::UBIGINT >> {FILE_BITS + FLAG_BITS})::INT"
DISLIKED_OF = "((key & 1) = 1)"
KNOWN_OF = "((key & 2) = 2)"
UNREADABLE_KNOWN_OF = "((key & 4) = 4)"


def examine(source: Source, rules: Rules, database: Database) -> Account:
    """Returns the account of a source's rows, before any pair is merged."""
    columns, aggregates = [f"{reason(source, rules)} AS reason"], []
    for ours in ("user", "item"):
        value = source.values[ours]
        columns.append(f"{value.as_integer} AS {ours}_integer")
        aggregates.append(f"bool_and({ours}_integer IS NOT NULL) AS {ours}")
        is_text = value.kind == "text"
        columns.append(f"{f'contains({value.sql}, chr(46))' if is_text else 'false'} AS {ours}_decimals")
        aggregates.append(f"bool_or({ours}_decimals) AS {ours}_decimals")
    if rules.rule != "none":
        value = source.values[rules.rule]
        columns.append(f"{feedback.disliked(value, rules.rule, rules.config)} AS disliked")
        aggregates.append("count(*) FILTER (disliked) AS disliked")
        if rules.rule != "false_positive":
            columns.append(f"{feedback.number(value, rules.rule, rules.config)} AS number")
            aggregates.append("min(number) AS low, max(number) AS high")
    if "timestamp" in source.values:
        columns += [f"({_time(source, rules)}) IS NULL AS untimed", f"NOT {source.values['timestamp'].missing} AS written"]
        aggregates.append("count(*) FILTER (untimed) AS untimed, count(*) FILTER (untimed AND written) AS unreadable")
    rows = database.records(
        f"SELECT reason, count(*) AS n, {', '.join(aggregates)} FROM (SELECT {', '.join(columns)} FROM ({source.table.sql})) "
        "GROUP BY reason",
        source.table.label,
    )
    lost = Counter(source.table.lost)
    account = Account(sum(row["n"] for row in rows) + sum(lost.values()), lost)
    account.rejected.update({row["reason"]: row["n"] for row in rows if row["reason"] is not None})
    good = next((row for row in rows if row["reason"] is None), None)
    if good is not None:
        account.integers = {ours: good[ours] for ours in ("user", "item")}
        account.decimals = {ours: good[f"{ours}_decimals"] for ours in ("user", "item")}
        account.untimed, account.unreadable = good.get("untimed", 0), good.get("unreadable", 0)
        account.usable, account.disliked = good["n"], good.get("disliked", 0)
        if "low" in good:
            account.ranges[rules.rule] = [good["low"], good["high"]]
    return account


def add_samples(accounts: Sequence[Account], sources: Sequence[Source], rules: Rules, database: Database) -> None:
    """Puts the first rejected rows of each reason, as they stand, into the accounts; pairs are not merged for it."""
    for source, account in zip(sources, accounts, strict=True):
        if not account.rejected:
            continue
        rows = database.run(
            f"SELECT reason, arg_min(__line, __line, {SAMPLE_ROWS}), arg_min(left(__text, {SAMPLE_LENGTH}), __line, {SAMPLE_ROWS}) "
            f"FROM (SELECT __line, __text, {reason(source, rules)} AS reason FROM ({source.table.sql})) "
            "WHERE reason IS NOT NULL GROUP BY reason",
            source.table.label,
        )
        for why, lines, texts in rows:
            account.samples[why] = [{"line": n, "text": content} for n, content in zip(lines, texts, strict=True)]
