"""Writes a configuration as TOML that `load_config` reads back: what differs from the defaults, section by section."""

from __future__ import annotations

import tomli_w

from tfadt.config import Config


def to_toml(config: Config, comments: tuple[str, ...] = ()) -> str:
    """Returns the settings that differ from the defaults, under some lines of comment."""
    settings = config.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return "".join(f"# {comment}\n" for comment in comments) + tomli_w.dumps(settings)
