"""Reads a configuration: TOML, then `section.key=value` settings on top; every mistake is one clear sentence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

import tomli_w

from tfadt.config import Config
from tfadt.config.validation import section_at, validate
from tfadt.errors import ConfigError

_OF_METHOD = ("adt.", "model.", "policy.")


def load_config(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    base: Mapping[str, Any] | None = None,
    below: Mapping[str, Any] | None = None,
) -> Config:
    """Returns the configuration of a run.

    Args:
        path: A TOML file, as a Path or text; None for the defaults. Paths in it are relative to the working directory, as
            on the command line.
        overrides: Settings such as `adt.epochs=5` or `adt.models=gmf,neumf`; a later one wins. A value is read as TOML,
            and as plain text where it is not valid TOML.
        base: Nested settings that win over the file and lose against `overrides` (what the command line's own options
            say).
        below: Nested settings that lose against all of these.

    Raises:
        ConfigError: If the file or a setting cannot be used; names the file or the key, what was expected and what was
            received.
    """
    settings: dict[str, Any] = {}
    _merge(settings, below or {})
    if path is not None:
        file = _read_toml(Path(path))
        # Alone first, so that a mistake is laid at the file's door only where the file made it.
        _validate(file, f"{path}: ")
        _merge(settings, file)
    _merge(settings, base or {})
    for override in overrides:
        _set(settings, override)
    return _validate(settings)


def with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """Returns the configuration with some settings changed, such as `{"adt.learning_rate": 0.01}`.

    Raises:
        ConfigError: If a setting cannot be used.
    """
    changed = dump(config)
    for key, value in settings.items():
        *sections, name = key.split(".")
        place = changed
        for part in sections:
            place = place.setdefault(part, {})
        place[name] = value
    return _validate(changed)


def settings_of(config: Config, model: str, policy: str) -> Config:
    """Returns what one model is trained with under one policy: the configuration with those of its section `method` on top.

    Those of the model come first, then those of the model under the policy; `method` is empty afterwards.

    Raises:
        ConfigError: If one of these cannot be used.
    """
    for name in (model, f"{model}-{policy}"):
        own = config.method.get(name, {})
        for key in own:
            if not key.startswith(_OF_METHOD):
                raise ConfigError(
                    f"Setting 'method.{name}': expected settings of adt, model and policy, such as adt.learning_rate; all "
                    f"else is of the run. Received: '{key}'."
                )
        try:
            config = with_settings(config, own) if own else config
        except ConfigError as error:
            raise ConfigError(f"Section 'method.{name}': {error}") from error
    return config.model_copy(update={"method": {}})


def dump(config: Config) -> dict[str, Any]:
    """Returns all settings, JSON-ready; `load_config(base=dump(config))` gives an equal configuration."""
    return config.model_dump(mode="json")


def to_toml(config: Config, comments: Sequence[str] = ()) -> str:
    """Returns the settings that differ from the defaults, under some lines of comment; `load_config` reads them back.

    Those of a preset are spelt out under the name of `paper`, which adds nothing to the defaults: what differs from the
    preset can be equal to a default.
    """
    settings = config.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    settings = {**settings, "adt": {**settings.get("adt", {}), "preset": "paper"}}
    return "".join(f"# {comment}\n" for comment in comments) + "\n" + tomli_w.dumps(settings)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"The configuration {path} does not exist.") from error
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The configuration {path} is not UTF-8 text: {error}.") from error
    except RecursionError as error:
        raise ConfigError(f"The configuration {path} is nested too deep.") from error
    except tomllib.TOMLDecodeError as error:
        hint = "" if path.suffix == ".toml" else " A log of clicks goes in with --data."
        raise ConfigError(f"The configuration {path} is not valid TOML: {error}.{hint}") from error


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping):
            # A new dict where there was none: the caller's own is not to change with a later override.
            inner = into[key] if isinstance(into.get(key), dict) else {}
            _merge(inner, value)
            into[key] = inner
        else:
            into[key] = value


def _set(settings: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    path = key.strip().split(".")
    if not sign or len(path) < 2 or not all(path):
        raise ConfigError(f"--set expects section.key=value, such as adt.epochs=5. Received: '{override}'.")
    value = _parse(text.strip())
    if _is_list(path) and not isinstance(value, list | dict):
        value = [_parse(part.strip()) for part in text.split(",")]
    place = settings
    for part in path[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise ConfigError(f"--set {override}: '{part}' is a single value. Expected a section.")
    place[path[-1]] = value


def _parse(text: str) -> Any:
    """Reads a TOML value; anything else is text as it stands, so that paths and names need no quotes."""
    try:
        document = tomllib.loads(f"value = {text}")
    except RecursionError as error:
        raise ConfigError(f"--set: the value is nested too deep. Received: {text[:40]}...") from error
    except tomllib.TOMLDecodeError:
        # TOML wants a digit before the point; people write .05.
        return float(text) if re.fullmatch(r"[+-]?\.\d+", text) else text
    # Text of several lines can read as several settings, and is then none.
    return document["value"] if len(document) == 1 else text


def _is_list(path: Sequence[str]) -> bool:
    if list(path[:2]) == ["tune", "space"]:
        return True
    section = section_at(Config, path[:-1])
    field = section.model_fields.get(path[-1]) if section is not None else None
    return field is not None and get_origin(field.annotation) is tuple


def _validate(settings: Mapping[str, Any], where: str = "") -> Config:
    """Validates `settings`; `where` opens the message of an error."""
    return validate(Config, settings, where)
