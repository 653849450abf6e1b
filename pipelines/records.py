"""Execution records: what a step ran, on what, when, with what result. Lineage is read from them."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tfadt.atomic import write_text
from tfadt.errors import DataError

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

    def outputs_of(self, type_name: str) -> list[str]:
        """Returns the names of the outputs of a type."""
        return [name for name, made in self.outputs.items() if made.type == type_name]


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


# A file written less than this before it was read might change again without its times showing it.
_SETTLED_NS = 2_000_000_000


class Digests:
    """Digests of files, kept in one JSON file between runs.

    A file counts as unchanged while its size, inode and both times are the same; the time of the last change of the inode
    cannot be set back, so what was changed on purpose is found too.

    Args:
        memory: Where digests are kept; a file that cannot be read is as good as none.
    """

    def __init__(self, memory: Path):
        self._memory = memory
        try:
            known = json.loads(memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        self._known: dict[str, object] = known if isinstance(known, dict) else {}
        self._used: dict[str, object] = {}

    def of_file(self, path: Path) -> str:
        """Returns the digest of a file's content, hex.

        Raises:
            DataError: If it cannot be read.
        """
        key = os.path.abspath(path)
        try:
            stat = os.stat(key)
            mark: list[object] = [stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]
            entry = self._known.get(key)
            if not isinstance(entry, list) or entry[:-1] != mark:
                with open(key, "rb") as file:
                    entry = [*mark, hashlib.file_digest(file, "sha256").hexdigest()]
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
        self._known[key] = entry
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED_NS:
            self._used[key] = entry
        return str(entry[-1])

    def of_path(self, path: Path) -> str:
        """Returns the digest of a file, or of the names and contents of all files in a folder.

        Raises:
            DataError: If there is nothing or it cannot be read.
        """
        if not path.is_dir():
            return self.of_file(path)
        digest = hashlib.sha256()
        for file in sorted(file for file in path.rglob("*") if not file.is_dir()):
            digest.update(f"{file.relative_to(path).as_posix()}\0{self.of_file(file)}\n".encode())
        return digest.hexdigest()

    def save(self) -> None:
        """Keeps the digests that were asked for, for the next run."""
        write_text(self._memory, json.dumps(self._used))


def now() -> str:
    """Returns the time, ISO 8601 with milliseconds and time zone."""
    return datetime.now().astimezone().isoformat("T", "milliseconds")
