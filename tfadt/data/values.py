"""What stands in a column -> ids, numbers, times and flags, as SQL expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tfadt.data.database import text

_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_HUGE = frozenset({"UBIGINT", "HUGEINT", "UHUGEINT"})
_PLAIN = {"VARCHAR": "text", "UUID": "text", "BOOLEAN": "boolean", "FLOAT": "number", "DOUBLE": "number", "DATE": "time"}
_ISO = r"\d{4}-\d\d?-\d\d?([T ]\d\d?:\d\d(:\d\d([.,]\d+)?)?)? ?(Z|UTC|[+-]\d\d(:?\d\d)?)?"
# Largest size of a time in each unit, and its microseconds.
_UNITS = ((1e11, 1_000_000.0), (1e14, 1_000.0), (1e17, 1.0))


def kind_of(sql_type: str) -> str | None:
    """Returns what a type of DuckDB holds.

    One of `text`, `integer` (of 64 bits), `huge` (a larger one), `decimal`, `number`, `boolean`, `time`; None for bytes,
    lists and the like.
    """
    if sql_type in _INTEGERS:
        return "integer"
    if sql_type in _HUGE:
        return "huge"
    if sql_type.startswith("DECIMAL"):
        return "decimal"
    if sql_type.startswith("TIMESTAMP"):
        return "time"
    return "text" if sql_type.startswith("ENUM") else _PLAIN.get(sql_type)


@dataclass(frozen=True)
class Value:
    """One column of an input.

    Attributes:
        sql: Expression of the value as it stands.
        kind: What `kind_of` returned.
        missing_texts: Texts that mean that there is no value.
    """

    sql: str
    kind: str
    missing_texts: Sequence[str] = ()

    @property
    def missing(self) -> str:
        """Whether there is no value."""
        listed = ", ".join(map(text, self.missing_texts))
        if self.kind == "text":
            return f"({self.sql} IS NULL OR trim({self.sql}) IN ('', {listed}))" if listed else self._empty
        sign = f"{self.sql} IS NULL" + (f" OR isnan({self.sql})" if self.kind == "number" else "")
        # Only texts that are numbers can be one of these values, and most lists have none.
        numbers = ", ".join(t for t in self.missing_texts if _is_number(t))
        return f"({sign}" + (f" OR {self.sql}::DOUBLE IN ({numbers}))" if numbers and self.kind != "time" else ")")

    @property
    def _empty(self) -> str:
        return f"({self.sql} IS NULL OR trim({self.sql}) = '')"

    @property
    def as_text(self) -> str:
        """The value as text; a whole number has no decimals."""
        if self.kind in ("number", "decimal"):
            whole = f"{self.sql} = trunc({self.sql}) AND abs({self.sql}) < 1e18"
            return f"CASE WHEN {whole} THEN {self.sql}::BIGINT::VARCHAR ELSE {self.sql}::VARCHAR END"
        return f"{self.sql}::INT::VARCHAR" if self.kind == "boolean" else f"{self.sql}::VARCHAR"

    @property
    def is_id(self) -> str:
        """Whether a value that is there can be an id."""
        return f"isfinite({self.sql})" if self.kind in ("number", "time") else "true"

    @property
    def as_integer(self) -> str:
        """The id as BIGINT if it is an integer written the plain way (`7`, or `7.0` as other programs write it), or NULL."""
        if self.kind == "integer":
            return f"{self.sql}::BIGINT"
        value = self.as_text
        whole = f"regexp_full_match({value}, '(0|-?[1-9][0-9]{{0,18}})\\.0+')"
        plain = f"TRY_CAST({value} AS BIGINT)"
        return (
            f"CASE WHEN {plain}::VARCHAR = {value} THEN {plain} "
            f"WHEN {whole} THEN TRY_CAST(split_part({value}, '.', 1) AS BIGINT) END"
        )

    def as_number(self, decimal_separator: str = ".") -> str:
        """The value as DOUBLE; NULL where it is no number, infinite where no DOUBLE is as large."""
        if self.kind != "text":
            return f"epoch({self.sql})" if self.kind == "time" else f"{self.sql}::DOUBLE"
        value = self.sql if decimal_separator == "." else f"replace({self.sql}, '{decimal_separator}', '.')"
        # DuckDB reads 1_000 as a thousand.
        return f"CASE WHEN NOT contains({value}, '_') THEN TRY_CAST({value} AS DOUBLE) END"

    def as_time(self, pattern: str | None = None) -> str:
        """The time as BIGINT, microseconds since 1970 (UTC); NULL where it is none.

        Numbers are seconds, milli-, micro- or nanoseconds by their size: what would else lie beyond the year 5138 is of the
        next smaller unit.

        Args:
            pattern: How text is written, as strptime has it; None for numbers and ISO 8601.
        """
        if self.kind == "time":
            return f"CASE WHEN isfinite({self.sql}) THEN TRY(epoch_us({self.sql}::TIMESTAMP)) END"
        if self.kind != "text":
            return self._ticks(f"{self.sql}::DOUBLE") if self.kind not in ("integer", "huge") else self._integer_ticks()
        if pattern is not None:
            return f"TRY(epoch_us(try_strptime(trim({self.sql}), {text(pattern)})::TIMESTAMPTZ))"
        value = f"trim({self.sql})"
        iso = f"CASE WHEN regexp_full_match({value}, {text(_ISO)}) THEN "
        # DuckDB reads no space before +01:00, and no decimal comma.
        written = f"regexp_replace(replace({value}, ',', '.'), ' ([+-])', '\\1')"
        iso += f"TRY(epoch_us(coalesce(TRY_CAST({value} AS TIMESTAMPTZ), TRY_CAST({written} AS TIMESTAMPTZ)))) END"
        return f"coalesce({self._ticks(Value(value, 'text').as_number())}, {iso})"

    def _integer_ticks(self) -> str:
        size, cases = f"abs({self.sql}::HUGEINT)", ""
        for bound, factor in _UNITS:
            cases += f"WHEN {size} < {int(bound)} THEN {self.sql}::BIGINT * {int(factor)} "
        return f"CASE {cases}ELSE TRY_CAST({self.sql}::HUGEINT // 1000 AS BIGINT) END"

    @staticmethod
    def _ticks(number: str) -> str:
        cases = "".join(f"WHEN abs({number}) < {bound:.0f} THEN round({number} * {factor:.0f}) " for bound, factor in _UNITS)
        return f"TRY_CAST(CASE {cases}ELSE trunc({number} / 1000) END AS BIGINT)"

    @property
    def as_flag(self) -> str:
        """The flag as BOOLEAN: 1/0, true/false, t/f, yes/no, y/n; NULL where it is none."""
        if self.kind == "boolean":
            return self.sql
        value = f"lower(trim({self.as_text}))"
        yes, no = ("'1', '1.0', 'true', 't', 'yes', 'y'", "'0', '0.0', 'false', 'f', 'no', 'n'")
        return f"CASE WHEN {value} IN ({yes}) THEN true WHEN {value} IN ({no}) THEN false END"


def _is_number(value: str) -> bool:
    try:
        return value.strip().lower() not in ("nan", "inf", "-inf", "infinity") and float(value) is not None
    except ValueError:
        return False
