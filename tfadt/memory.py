"""How much memory there is, and whether what comes next fits into it."""

from __future__ import annotations

from pathlib import Path

from tfadt.errors import OutOfMemoryError

_MEMINFO = Path("/proc/meminfo")


def available_memory() -> int | None:
    """Returns the bytes of memory that can still be had, page cache included; None where the system does not say."""
    if not _MEMINFO.exists():
        return None
    fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None


def require_memory(what: str, needed: int, remedy: str) -> None:
    """Refuses what does not fit, before the system kills the process for it.

    Args:
        what: Names it, such as `The user table (3000 x 32)`.
        needed: Bytes.
        remedy: What to lower.

    Raises:
        OutOfMemoryError: If it needs more than there is.
    """
    free = available_memory()
    if free is not None and needed > free:
        raise OutOfMemoryError(
            f"{what} needs {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are to be had. Lower {remedy}."
        )
