"""The account of a split: every line that came in was kept, or rejected for a reason that is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfadt.data.account import balance
from tfadt.data.cleaning import Account
from tfadt.datasets.files import FileRange
from tfadt.errors import DataError

ROWS = "rows"
"""Key of `builder.info.metadata`: split -> {"in": rows, "kept": rows, "rejected": {reason: rows}}."""


def total(accounts: Sequence[tuple[Account, int]], parts: Sequence[FileRange]) -> dict[str, Any]:
    """Returns the account of a split.

    Args:
        accounts: Accounts that cover the split, and how many rows each of them kept.
        parts: What was read, for the message.

    Raises:
        DataError: If no row is left.
    """
    kept = sum(number for _, number in accounts)
    rows = balance([account for account, _ in accounts], {"rows": kept})
    if not kept:
        files = ", ".join(dict.fromkeys(part.path for part in parts)) or "The files"
        reasons = ", ".join(f"{reason}: {count}" for reason, count in rows["rejected"].items()) or "none"
        raise DataError(f"{files}: no row can be used. Expected at least one. Rejected: {reasons}.")
    return {"in": rows["in"], "kept": kept, "rejected": rows["rejected"]}
