"""Every setting with its default, what it means and what it may be."""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tfadt.config import Config
from tfadt.errors import ConfigError, did_you_mean
from tfadt.registry import MODELS, POLICIES

_KINDS = {int: "whole number", float: "number", bool: "true or false", str: "text"}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_REGISTRIES = {registry.kind: registry for registry in (MODELS, POLICIES)}


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        key: Such as `adt.epochs`.
        default: What holds unless it is given, the default preset included, as TOML has it; `none` for no value.
        meaning: What it does.
        values: What it may be.
    """

    key: str
    default: str
    meaning: str
    values: str


def settings(key: str | None = None) -> list[Setting]:
    """Returns all settings, those of a section such as `adt` or `policy.t_ce`, or a single one.

    The settings of a model or a policy are those of its class, which is imported; without a key it is only named.

    Raises:
        ConfigError: If there is no such section or setting.
    """
    if key is None:
        return list(_of_section(Config(), ""))
    kind, *rest = key.split(".")
    if kind in _REGISTRIES and rest:
        registry, preset = _REGISTRIES[kind], getattr(Config(), kind)
        cls = registry.resolve(rest[0])
        given = preset.get(getattr(cls, "settings_of", None), {}) | preset.get(rest[0], {})
        found = list(_of_class(cls, f"{kind}.{rest[0]}", registry.sizes, given))
    else:
        found = list(_of_section(Config(), ""))
    chosen = [each for each in found if each.key == key or each.key.startswith(f"{key}.")]
    # A model may have no settings at all; then there is nothing to list.
    if not chosen and (kind not in _REGISTRIES or key.count(".") != 1):
        known = [*Config.model_fields, *(each.key for each in found)]
        raise ConfigError(f"There is no setting or section '{key}'.{did_you_mean(key, known)}")
    return chosen


def _of_section(section: BaseModel, path: str) -> Iterator[Setting]:
    for name, field in type(section).model_fields.items():
        key, default = f"{path}{name}", getattr(section, name)
        if isinstance(default, BaseModel):
            yield from _of_section(default, f"{key}.")
        elif key in _REGISTRIES:
            for each in _REGISTRIES[key]:
                yield Setting(f"{key}.{each}", "its own", f"The {key} {each}.", f"tfadt config {key}.{each} lists them")
        else:
            yield Setting(key, _shown(default), " ".join((field.description or "").split()), _values(field))


def _of_class(cls: type, path: str, reserved: int, given: Mapping[str, Any]) -> Iterator[Setting]:
    meanings = dict(_documented(cls))
    parameters = inspect.signature(cls, eval_str=True).parameters.values()
    for parameter in [each for each in parameters if each.kind is not each.VAR_KEYWORD][reserved:]:
        default = given.get(parameter.name, parameter.default)
        shown = "required" if default is parameter.empty else _shown(default)
        kind = "" if parameter.annotation is parameter.empty else _kind(parameter.annotation)
        yield Setting(f"{path}.{parameter.name}", shown, meanings.get(parameter.name, ""), kind)


def _documented(cls: type) -> Iterator[tuple[str, str]]:
    """Returns name and text of each argument in the docstring of a class, or of the nearest base that documents them."""
    documented = (inspect.getdoc(each) or "" for each in inspect.getmro(cls))
    text = next((each for each in documented if "Args:\n" in each), "")
    _, _, rest = text.partition("Args:\n")
    arguments = re.split(r"\n(?=\S)", rest, maxsplit=1)[0]
    for entry in re.split(r"\n(?= {4}\S)", "\n" + arguments):
        names, _, meaning = entry.strip().partition(": ")
        for name in names.split(", "):
            yield name.strip("`* "), " ".join(meaning.split())


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_shown, value))}]"
    return repr(value) if isinstance(value, float) else json.dumps(value, default=str)


def _values(field: FieldInfo) -> str:
    return ", ".join([_kind(field.annotation), *_bounds(field.metadata)])


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [bound for each in arguments[1:] for bound in _bounds(getattr(each, "metadata", [each]))]
        return ", ".join([_kind(arguments[0]), *inner])
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join("none" if each is type(None) else _kind(each) for each in arguments)
    if origin is tuple:
        return f"list, each: {_kind(arguments[0])}"
    return _KINDS.get(annotation, "section" if origin is dict else getattr(annotation, "__name__", str(annotation)).lower())


def _bounds(metadata: Sequence[Any]) -> Iterator[str]:
    for each in metadata:
        for name, words in _BOUNDS.items():
            if getattr(each, name, None) is not None:
                yield f"{words} {getattr(each, name)}"
        if getattr(each, "min_length", None):
            yield "not empty"
