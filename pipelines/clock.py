"""The time as logs, records and the lock write it."""

from __future__ import annotations

from datetime import datetime


def now() -> str:
    """Returns the time, ISO 8601 with milliseconds and time zone."""
    return datetime.now().astimezone().isoformat("T", "milliseconds")
