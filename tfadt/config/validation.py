"""Settings -> a section; every mistake is one clear sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tfadt.errors import ConfigError, did_you_mean

Settings = TypeVar("Settings", bound=BaseModel)


def validate(section: type[Settings], settings: Mapping[str, Any], where: str = "", name: str = "") -> Settings:
    """Returns the section that nested settings stand for.

    Args:
        section: Its class.
        settings: The settings, JSON-ready but for paths.
        where: Opens the message of an error.
        name: What the section is called in the whole configuration, empty for the whole.

    Raises:
        ConfigError: If a setting is unknown or cannot be used.
    """
    try:
        # As strict JSON: lists and texts become tuples and paths, but `true` is no number and "5" is none either.
        return section.model_validate_json(json.dumps(settings, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError(where + _explain(error, section, name)) from error


def section_at(root: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """Returns the section at `path` in `root`, or None where there is none (the free settings of models and policies)."""
    section = root
    for part in path:
        field = section.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return None
        section = field.annotation
    return section


def _explain(error: ValidationError, root: type[BaseModel], name: str) -> str:
    """Turns one of pydantic's complaints into a sentence: an unknown key before all others, as the likeliest cause."""
    complaint = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    path = [str(part) for part in complaint["loc"]]
    key = ".".join([name, *path] if name else path)
    if complaint["type"] == "extra_forbidden":
        section = section_at(root, path[:-1])
        return f"Unknown setting '{key}'.{did_you_mean(path[-1], section.model_fields if section is not None else ())}"
    message = re.sub(r"^\w+ should ", "expected to ", complaint["msg"])
    return f"Setting '{key}': {message}. Received: {complaint['input']!r}."
