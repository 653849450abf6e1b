"""Writes a configuration as TOML that `load_config` reads back: what differs from the defaults, section by section."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tfadt.config import Config


def to_toml(config: Config, comments: tuple[str, ...] = ()) -> str:
    """Returns the settings that differ from the defaults, under some lines of comment."""
    settings = config.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    lines = [f"# {comment}" for comment in comments]
    _write(settings, (), lines)
    return "\n".join(lines) + "\n"


def _write(section: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    plain = {key: value for key, value in section.items() if not isinstance(value, Mapping)}
    if plain and path:
        lines += ["", f"[{'.'.join(map(_key, path))}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in section.items():
        if isinstance(value, Mapping):
            _write(value, (*path, key), lines)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    """Returns a value in TOML, whose text, numbers and lists are written as JSON's."""
    if isinstance(value, float):
        return repr(value)
    # JSON leaves one control character as it is that TOML wants escaped.
    return json.dumps(value).replace("\x7f", "\\u007f")
