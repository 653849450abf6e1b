"""Reads a configuration: TOML, then `section.key=value` settings on top; every mistake is one clear sentence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tfadt.config import Config
from tfadt.errors import ConfigError, did_you_mean


def load_config(path: Path | None = None, overrides: Sequence[str] = (), base: Mapping[str, Any] | None = None) -> Config:
    """Returns the configuration of a run.

    Args:
        path: A TOML file; None for defaults. Paths in it are relative to the working directory, as on the command line.
        overrides: Settings such as `adt.epochs=5` or `adt.models=gmf,neumf`, later ones win.
        base: Nested settings that win over the file and lose against `overrides` (what the command line's own options say).

    Raises:
        ConfigError: If the file or a setting cannot be used; names the key, what was expected and what was received.
    """
    settings = _read_toml(path) if path is not None else {}
    _merge(settings, base or {})
    for override in overrides:
        _set(settings, override)
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        where = f"{path}: " if path is not None else ""
        raise ConfigError(where + _explain(error)) from error


def dump(config: Config) -> dict[str, Any]:
    """Returns all settings, JSON-ready."""
    return config.model_dump(mode="json")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"The configuration {path} does not exist.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _set(settings: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    path = key.strip().split(".")
    if not sign or len(path) < 2 or not all(path):
        raise ConfigError(f"--set expects section.key=value, such as adt.epochs=5. Received: '{override}'.")
    value: Any = _parse(text.strip())
    if _is_list(path) and not isinstance(value, list):
        value = [_parse(part.strip()) for part in text.split(",")] if isinstance(value, str) else [value]
    place = settings
    for part in path[:-1]:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: '{part}' is a single value, not a section.")
        place = inner
    place[path[-1]] = value


def _parse(text: str) -> Any:
    """Reads a TOML value; anything else is text as it stands, so that paths and names need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        # TOML wants a digit before the point; people write .05.
        return float(text) if re.fullmatch(r"[+-]?\.\d+", text) else text


def _is_list(path: list[str]) -> bool:
    model: type[BaseModel] = Config
    for part in path[:-1]:
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return False
        model = field.annotation
    field = model.model_fields.get(path[-1])
    return field is not None and get_origin(field.annotation) is tuple


def _explain(error: ValidationError) -> str:
    """Turns the likeliest of pydantic's complaints, an unknown key before all others, into a sentence."""
    complaints = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = complaints[0]
    location = [str(part) for part in first["loc"]]
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        return f"Unknown setting '{key}'.{did_you_mean(location[-1], _siblings(location))}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"Setting '{key}': {message}. Received: {first['input']!r}."


def _siblings(location: list[str]) -> list[str]:
    model: type[BaseModel] = Config
    for part in location[:-1]:
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *get_args(annotation)]
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(model.model_fields)
