"""Lines -> checked examples, with an account of every line; the rules are those of `tfadt ingest`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from tfadt.config.ingest import IngestConfig
from tfadt.data.cleaning import Account, Rules, rows_sql
from tfadt.data.database import text
from tfadt.data.tables import Source
from tfadt.datasets.database import good_rows
from tfadt.datasets.files import FileRange
from tfadt.datasets.formats import Format

Example = dict[str, Any]
# Of microseconds: whole seconds, also before 1970, where // rounds up.
_SECONDS = "time // 1000000 - (time % 1000000 < 0)::INT"


@dataclass(frozen=True)
class ItemFilter:
    """The items that a data set is about, as a table of items tells them.

    Attributes:
        items: Id of each item of the table -> whether the data set is about it.
        other: Why a row of another item of the table is rejected.
        unknown: Why a row of an item that the table lacks is rejected.
    """

    items: Mapping[str, bool]
    other: str
    unknown: str

    @cached_property
    def table(self) -> pa.Table:
        """The table `items`: `id` and `wanted`."""
        return pa.table({"id": pa.array(list(self.items), pa.string()), "wanted": list(self.items.values())})

    def apply(self, source: Source) -> Source:
        """Returns the rows, with a defect in each that has both ids and is of another item; reads the table `items`."""
        user, item = source.values["user"], source.values["item"]
        left_out = f"CASE WHEN wanted IS NULL THEN {text(self.unknown)} WHEN NOT wanted THEN {text(self.other)} END"
        is_checked = f"__defect IS NULL AND NOT {user.missing} AND NOT {item.missing}"
        sql = (
            f"SELECT * REPLACE (CASE WHEN {is_checked} THEN {left_out} ELSE __defect END AS __defect) "
            f"FROM ({source.table.sql}) LEFT JOIN items ON id = {item.as_text}"
        )
        return replace(source, table=replace(source.table, sql=sql))


@dataclass(frozen=True)
class RowReader:
    """Reads the rows of a range of a file; pickled where Beam reads.

    Attributes:
        format: How lines are read.
        rule: Feedback that tells a false positive: `rating`, `dwell_time` or `false_positive` (a flag).
        timed: Whether rows have a time.
        item_filter: Rows of other items are rejected.
        settings: Units, and thresholds: by default the paper's (section 5), a rating below 3 and a dwell time below 10 s.
    """

    format: Format
    rule: str
    timed: bool
    item_filter: ItemFilter | None = None
    settings: IngestConfig = field(default_factory=IngestConfig)

    def read(self, part: FileRange, account: Account) -> Iterator[tuple[int, Example]]:
        """Yields key and example of each good row of a range, in order.

        Args:
            part: The range.
            account: Counts rows in and rejected as they are read.
        """
        features = self._features
        tables = {} if self.item_filter is None else {"items": self.item_filter.table}
        rows = good_rows(part, self._sql(part, features), account, tables)
        for number, (position, values) in enumerate(rows):
            yield part.key(position, number), dict(zip(features, values, strict=True))

    @property
    def _features(self) -> dict[str, str]:
        """Feature -> its expression over the columns of `rows_sql`."""
        features = {"user_id": "user", "item_id": "item"}
        if self.rule != "false_positive":
            features[self.rule] = "number"
        if self.timed:
            features["timestamp"] = _SECONDS
        return features | {"false_positive": "(flags & 1) = 1"}

    def _sql(self, part: FileRange, features: dict[str, str]) -> str:
        source = self.format.source(part)
        if self.item_filter is not None:
            source = self.item_filter.apply(source)
        rows = rows_sql(source, Rules(self.rule, self.timed, self.settings))
        return f"SELECT reason, {', '.join(features.values())} FROM ({rows}) ORDER BY line"
