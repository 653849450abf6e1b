"""What a search may try for a setting. Models and policies declare theirs with these, beside the code that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Value = bool | int | float | str


@dataclass(frozen=True)
class Choices:
    """A few values, all of one type.

    Args:
        *values: The values; numbers in ascending order help a search that learns from nearness.
    """

    values: tuple[Value, ...]

    def __init__(self, *values: Value):
        object.__setattr__(self, "values", values)


@dataclass(frozen=True)
class Range:
    """Every number from `min` to `max`, both included; whole numbers where both are.

    Args:
        min: The least.
        max: The largest.
        log: Search by ratio rather than by difference.
    """

    min: int | float
    max: int | float
    log: bool = False


SearchSpace = Mapping[str, Choices | Range]
"""Setting -> what may be tried for it."""
