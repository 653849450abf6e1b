"""The versions that a result depends on."""

from __future__ import annotations

import importlib.metadata
import platform

_PACKAGES = ("tfadt", "tensorflow", "keras", "numpy", "pandas")


def versions() -> dict[str, str]:
    """Returns the versions of Python, tfadt and the packages that it computes with; none of them is imported."""
    return {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in _PACKAGES}}
