"""Execution records: what a step ran, on what, with what result. Lineage is read from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

_DIGITS = 16  # of 64: enough for any number of executions that a disk can hold


class _Recorded(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class InputRecord(_Recorded):
    """Which output of which execution an input was."""

    execution: str
    output: str


class OutputRecord(_Recorded):
    """What an output is."""

    type: str
    """Name of its artifact type."""
    digest: str
    """SHA-256 of its files' names and contents."""
    summary: dict[str, Any]
    """A few figures about it."""


class Identity(_Recorded):
    """Everything that the result of an execution depends on."""

    component: str
    """Where the component is defined: `module:function`."""
    code: str
    """SHA-256 of the component's code and of what it imports."""
    parameters: dict[str, Any]
    """Every parameter, defaults included."""
    files: dict[str, str]
    """SHA-256 of each file outside the pipeline that the step reads."""
    inputs: dict[str, InputRecord]
    """By argument name."""

    @property
    def execution(self) -> str:
        """Name of the execution: the component and a fingerprint of everything here."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return f"{self.component.rpartition(':')[2]}-{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


class Record(_Recorded):
    """The record of a complete execution, `execution.json` in its folder."""

    schema_version: int = 1
    """Version of this format."""
    identity: Identity
    """What it depends on; the folder is named after it."""
    step: str
    """Name of the step in the pipeline that ran it."""
    pipeline: str
    """Name of that pipeline."""
    outputs: dict[str, OutputRecord]
    """By name; each is a folder beside the record."""
    previous: dict[str, InputRecord]
    """Earlier outputs that it was compared with."""
    started: str
    """When, ISO 8601 with time zone."""
    seconds: float
    """Wall time."""
    versions: dict[str, str]
    """Of Python, tfadt and the packages that it computes with."""


def differences(old: Identity, new: Identity) -> list[str]:
    """Returns in words what changed between two identities of a step, the likeliest cause first."""
    found = [f"{name} changed" for name in _changed(old.files, new.files)]
    for name in _changed(old.parameters, new.parameters):
        found += _parameter_change(name, old.parameters.get(name), new.parameters.get(name))
    found += [f"code of {new.component.rpartition(':')[2]} changed"] if old.code != new.code else []
    found += [f"input {name} changed" for name in _changed(old.inputs, new.inputs)]
    return found


def _parameter_change(name: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = _changed(old, new)
        return [text for key in keys for text in _parameter_change(f"{name}.{key}", old.get(key), new.get(key))]
    return [f"{name}: {json.dumps(old)} -> {json.dumps(new)}"]


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
