"""Lines -> checked examples, with an account of every line; the rules are those of `tfadt ingest`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tfadt.config.ingest import Feedback
from tfadt.data.accounting import RowAccount
from tfadt.data.feedback import apply_rule
from tfadt.data.values import id_texts, to_number, to_time
from tfadt.datasets.files import FileRange, read_batches
from tfadt.datasets.formats import NOT_TEXT, Format, text_lines

Example = dict[str, Any]
NO_TIME = "timestamp missing, or no number and no ISO 8601 date"


@dataclass(frozen=True)
class ItemFilter:
    """The items that a data set is about, as a table of items tells them.

    Attributes:
        items: Their ids.
        known: All ids of the table.
        other: Why a row of another item of the table is rejected.
        unknown: Why a row of an item that the table lacks is rejected.
    """

    items: frozenset[str]
    known: frozenset[str]
    other: str
    unknown: str


@dataclass(frozen=True)
class RowReader:
    """Reads the rows of a range of a file; pickled where Beam reads.

    Attributes:
        format: How lines are read.
        rule: Feedback that tells a false positive, with the paper's thresholds (section 5): `rating` (below 3),
            `dwell_time` (below 10 s) or `false_positive` (a flag).
        ticks_per_second: Unit of the times, of dates 1,000,000; None where rows have no time.
        item_filter: Rows of other items are rejected.
    """

    format: Format
    rule: str
    ticks_per_second: int | None
    item_filter: ItemFilter | None = None

    def read(self, part: FileRange, account: RowAccount) -> Iterator[tuple[int, Example]]:
        """Yields key and example of each good row of a range, in order.

        Args:
            part: The range.
            account: Counts rows in and rejected as they are read.
        """
        number = 0
        for position, lines in read_batches(part):
            for example in self._examples(self._clean(lines, part, account)):
                yield part.key(position, number), example
                number += 1

    def _clean(self, lines: list[bytes], part: FileRange, account: RowAccount) -> pd.DataFrame:
        good = text_lines(lines)
        if len(good) < len(lines):
            account.rows_in += len(lines) - len(good)
            account.rejected[NOT_TEXT] += len(lines) - len(good)
        if not good:
            return pd.DataFrame()
        table = self.format.parse(good, part)
        account.rows_in += table.rows_in
        account.rejected.update(table.rejected)
        frame = table.frame
        for column in ("user", "item"):
            frame = frame.assign(**{column: id_texts(frame[column], f"{column}_id")})
            frame = account.keep(frame, frame[column].notna().to_numpy(bool), f"{column}_id missing")
        if self.item_filter is not None:
            for ids, reason in (
                (self.item_filter.known, self.item_filter.unknown),
                (self.item_filter.items, self.item_filter.other),
            ):
                # Not Series.isin, which makes a table of all ids anew for each batch.
                frame = account.keep(frame, np.array([item in ids for item in frame["item"]], bool), reason)
        frame = apply_rule(frame, self.rule, Feedback(), account)
        if self.ticks_per_second is not None and len(frame):
            times, readable = to_time(frame["timestamp"], "timestamp")
            in_range = np.abs(times.astype(np.float64)) < 2.0**63
            frame = account.keep(frame.assign(timestamp=times), readable & in_range, NO_TIME)
        return frame

    def _examples(self, frame: pd.DataFrame) -> Iterator[Example]:
        if not len(frame):
            return
        columns: dict[str, Any] = {"user_id": frame["user"], "item_id": frame["item"]}
        if self.rule != "false_positive":
            columns[self.rule] = to_number(frame[self.rule], self.rule)[0].astype(np.float32)
        if self.ticks_per_second is not None:
            columns["timestamp"] = (frame["timestamp"] // self.ticks_per_second).astype(np.int64)
        columns["false_positive"] = frame["false_positive"].astype(bool)
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))
