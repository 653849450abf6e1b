"""How much memory there is, and whether what comes next fits into it."""

from __future__ import annotations

from pathlib import Path

from tfadt.errors import OutOfMemoryError

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Returns the bytes of memory that can still be had, page cache included; None where the system does not say.

    In a container, what its limit leaves counts.
    """
    found = []
    if _MEMINFO.exists():
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        if "MemAvailable" in fields:
            found.append(int(fields["MemAvailable"].split()[0]) * 1024)
    limit = _CGROUP / "memory.max"
    if limit.exists() and (text := limit.read_text().strip()) != "max":
        cache = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines()).get("inactive_file", "0")
        found.append(max(int(text) - int((_CGROUP / "memory.current").read_text()) + int(cache), 0))
    return min(found, default=None)


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
