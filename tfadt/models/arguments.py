"""Checks of what a user hands to `fit`, `evaluate` and their like."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError


def as_list(callbacks: Any) -> list[Any]:
    """Returns one callback, several or none as a list."""
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]


def at_least_one(**values: int | None) -> None:
    """Raises ConfigError if a value is below 1; None is left to its default."""
    for name, value in values.items():
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1. Received: {value}.")


def check_arrays(x: Any, method: str, otherwise: str = "") -> None:
    """Raises ConfigError if `x` is a frame, a data set that the method does not take, or nothing."""
    if x is None or isinstance(x, pd.DataFrame | InteractionData) or hasattr(x, "to_pandas"):
        wanted = otherwise or f"{method}(tfadt.from_frame(frame)) takes a frame"
        raise ConfigError(f"{method}() takes ((users, items), labels) in codes; {wanted}. Received: {type(x).__name__}.")
