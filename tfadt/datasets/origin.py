"""The origin of a build: digests of its source files, kept with it and compared before the build is used again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import tensorflow_datasets as tfds

from tfadt.errors import DataError

FILES = "files"
"""Key of `builder.info.metadata`: name of a source file -> SHA-256 of its content, hex."""
_CHUNK_BYTES = 1 << 20


def digests(paths: Sequence[tfds.core.Path]) -> dict[str, str]:
    """Returns name -> SHA-256 of each file.

    Raises:
        DataError: If one cannot be read.
    """
    return {path.name: _digest(path) for path in paths}


def check_origin(build: tfds.core.Path, recorded: Mapping[str, str], paths: Sequence[tfds.core.Path]) -> None:
    """Refuses a build that was made of other files than those that are there; where none are, it stands on its own.

    Args:
        build: Its folder.
        recorded: What its metadata has under `FILES`.
        paths: The files that it would be made of now.

    Raises:
        DataError: If a file differs, was not there, or is gone while others are there.
    """
    if not paths:
        return
    changed = next((path for path in paths if recorded.get(path.name) != _digest(path)), None)
    gone = next((name for name in recorded if name not in {path.name for path in paths}), None)
    if changed is not None:
        difference = f"{changed} {'differs' if changed.name in recorded else 'was not among them'}"
    elif gone is not None:
        difference = f"{gone} is missing in {paths[0].parent}"
    else:
        return
    raise DataError(
        f"{build} was built from other files than those that are there now: {difference}. Delete that folder to have it "
        f"built anew, or name the folder of the files that it was built from (ingest.manual_dir)."
    )


def _digest(path: tfds.core.Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest()
