"""What an export says of itself, in `assets.extra/tfadt.json` inside the version; nothing here imports TensorFlow."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfadt.errors import ConfigError, DataError, reading
from tfadt.serving.versions import check_model_name

METADATA_FILE = "assets.extra/tfadt.json"
SCHEMA = 1


def write_metadata(folder: Path, details: dict[str, Any]) -> None:
    """Writes the details of a version beside the SHA-256 of each of its files, all of which must be there."""
    path = Path(folder) / METADATA_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"schema": SCHEMA, **details, "files": _digests(Path(folder))}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_metadata(folder: Path) -> dict[str, Any]:
    """Returns the details of a version.

    Raises:
        DataError: If the folder is not an export of ours, or of another schema, or says what no export says.
    """
    path = Path(folder) / METADATA_FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist. Expected a version written by `tfadt export`.")
    with reading(path, "is damaged"):
        text = path.read_text(encoding="utf-8")
    return parse_metadata(text, path)


def parse_metadata(text: str, path: Path | str) -> dict[str, Any]:
    """Returns the details of a version that `text`, read from `path`, holds; raises DataError as `read_metadata` does."""
    with reading(path, "is damaged"):
        content = json.loads(text)
        schema = content["schema"]
    if schema != SCHEMA:
        raise DataError(f"{path} is of another version of tfadt. Expected schema {SCHEMA}. Received: {schema}.")
    _check(content, path)
    return dict(content)


def _check(content: dict[str, Any], path: Path | str) -> None:
    """Refuses values that an export does not write: they become paths and lines of a shell script."""
    for key, (expected, fits) in _FIELDS.items():
        if key not in content or not fits(content[key]):
            received = repr(content[key])[:200] if key in content else "nothing"
            raise DataError(f"{path} is damaged or was changed: '{key}' must be {expected}. Received: {received}.")
    try:
        check_model_name(content["name"])
    except ConfigError as error:
        raise DataError(f"{path} is damaged or was changed: {error}") from error


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a text", lambda value: isinstance(value, str)),
    "version": ("a whole number of at least 1", _is_whole),
    "k": ("a whole number of at least 1", _is_whole),
    "tensorflow": (
        "a version such as 2.21.0",
        lambda value: isinstance(value, str) and re.fullmatch(r"\d+\.\d+\.\d+[A-Za-z0-9.-]*", value) is not None,
    ),
    "signatures": (
        "a list of texts",
        lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
    ),
    "files": (
        "SHA-256 by file name",
        lambda value: isinstance(value, dict) and all(isinstance(digest, str) for digest in value.values()),
    ),
}
"""Key -> what it must be, in words and as a test."""


def check_files(folder: Path) -> None:
    """Checks that a version holds exactly the bytes that were exported.

    Raises:
        DataError: If a file was changed, is missing or was added; it is named.
    """
    expected, found = read_metadata(folder)["files"], _digests(Path(folder))
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise DataError(f"{folder} lacks the file {name} that was exported.")
        if name not in expected:
            raise DataError(f"{folder} has the file {name} that was not exported.")
        if found[name] != expected[name]:
            raise DataError(
                f"{Path(folder) / name} was changed or damaged since the export. Expected SHA-256 {expected[name]}. "
                f"Received: {found[name]}."
            )


def fingerprint(folder: Path) -> str:
    """Returns the SHA-256 of a version's metadata, which holds that of every other file."""
    return _sha256(Path(folder) / METADATA_FILE)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    return {name: _sha256(path) for name, path in zip(names, files, strict=True) if name != METADATA_FILE}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
