"""The best items of many users: ids in, a table out; and how tables go into CSV files."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tfadt.data.interactions import CSR
from tfadt.errors import DataError
from tfadt.evaluation.ranking import rank
from tfadt.experiments.saved import SavedRun
from tfadt.models.recommendations import Recommendations
from tfadt.models.recommender import Recommender

_FORMULA = re.compile(r"^[=+\-@\t\r]")
_NUMBER = re.compile(r"^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$")


def recommend_users(
    run: SavedRun, model: Recommender, ids: Sequence[str], k: int, exclude: CSR | None = None
) -> pd.DataFrame:
    """Ranks all items for some users.

    Args:
        run: The run of the model.
        model: The model.
        ids: User ids, as in the data.
        k: Items a user.
        exclude: Items that are left out.

    Returns:
        The users in the order given, each with its best items first; fewer than k rows where fewer items are left.

    Raises:
        DataError: If a user is not in the training data.
    """
    users = run.user_codes(ids)
    ranking = rank(model, users, min(k, run.data.num_items), exclude)
    return Recommendations(run.data.users.decode(users), ranking, run.data.items)


def read_users(path: Path) -> list[str]:
    """Returns the user ids in a file: one a line, or the column `user_id` of a CSV file.

    Raises:
        DataError: If it cannot be read, or names no user.
    """
    rows = _read_csv(path)
    column = rows[0].index("user_id") if rows and "user_id" in rows[0] else None
    if column is None and any(len(row) > 1 for row in rows):
        raise DataError(f"{path} has several columns. Expected one of them to be named user_id. Received: {rows[0]}.")
    ids = [row[column or 0] for row in (rows if column is None else rows[1:]) if len(row) > (column or 0)]
    if not ids:
        raise DataError(f"{path} names no user. Expected one id a line.")
    return ids


def read_items(path: Path) -> pd.DataFrame:
    """Returns what a CSV file says of the items, such as titles, indexed by item id as text.

    Raises:
        DataError: If it cannot be read, has no column `item_id`, or names an item twice.
    """
    rows = _read_csv(path)
    if not rows or "item_id" not in rows[0] or len(rows[0]) < 2:
        raise DataError(f"{path} must have a column item_id and another one. Received: {rows[0] if rows else 'no header'}.")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]):
            raise DataError(f"{path}, row {number}: expected {len(rows[0])} values. Received: {len(row)}.")
    frame = pd.DataFrame(rows[1:], columns=rows[0], dtype=object).set_index("item_id")
    if frame.index.has_duplicates:
        raise DataError(f"{path} names the item '{frame.index[frame.index.duplicated()][0]}' twice.")
    return frame


def with_items(ranked: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Returns the ranking with what is said of its items; nothing is said of items that the file does not have."""
    found = items.reindex(ranked["item_id"].astype(str)).fillna("").set_index(ranked.index)
    return ranked.join(found.rename(columns={name: f"{name}_of_item" for name in found if name in ranked}))


def to_csv(frame: pd.DataFrame) -> str:
    """Returns a table as CSV.

    Text that a spreadsheet would run as a formula (it begins with =, +, -, @ and is no number) gets a ' in front.
    """
    safe = {
        str(name): [f"'{v}" if isinstance(v, str) and _FORMULA.match(v) and not _NUMBER.match(v) else v for v in column]
        for name, column in frame.items()
        if column.dtype == object or pd.api.types.is_string_dtype(column)
    }
    return frame.assign(**safe).to_csv(index=False)


def _read_csv(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [row for row in csv.reader(file) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {reason}.") from error
