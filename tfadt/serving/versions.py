"""Numbered versions of a model in a folder: listed as a server lists them, published so that half a one is never seen.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from tfadt.atomic import sync_folder
from tfadt.errors import ConfigError, DataError, writing

_VERSION = re.compile(r"[0-9]{1,18}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LOCK = ".tfadt-lock"
PARTIAL = ".tfadt-partial-"
"""How the names of folders begin that are not versions yet, or no longer; a server ignores them."""
SERVER = "server"
"""The folder beside the models that has what the server needs."""
ROLLED_BACK = "rolled-back-"
"""How the name of a version begins that was taken back; its number follows."""


def is_version(name: str) -> bool:
    """Returns whether TensorFlow Serving takes a name for a version: it loads folders whose names are integers."""
    return _VERSION.fullmatch(name) is not None


def is_remote(path: str) -> bool:
    """Returns whether a path names a file system other than this machine's."""
    return "://" in path


def by_number(names: Iterable[str]) -> dict[int, str]:
    """Returns version -> name of its folder, ascending. A server reads `007` as 7, and so do we."""
    return dict(sorted((int(name), name) for name in names if is_version(name)))


def versions(folder: Path) -> dict[int, Path]:
    """Returns version -> its folder, ascending; none where there is no such model's folder."""
    names = by_number(path.name for path in folder.iterdir()) if folder.is_dir() else {}
    return {number: folder / name for number, name in names.items()}


def is_model_name(name: str) -> bool:
    """Returns whether a served model can be called so.

    The name becomes a folder, a part of URLs and of a shell script; a folder of digits would be taken for a version, and
    `server` has what the server needs.
    """
    return _NAME.fullmatch(name) is not None and not is_version(name) and name != SERVER


def check_model_name(name: str) -> None:
    """Raises ConfigError for what cannot be the name of a served model."""
    if not is_model_name(name):
        raise ConfigError(
            "The name of a served model has letters, digits, '_', '-' and '.', begins with neither of the last two, is not "
            f"digits alone and not '{SERVER}'. Received: {name!r}."
        )


def find_version(path: Path) -> Path:
    """Returns the folder of a version: `path` itself, or the largest version in it.

    Raises:
        DataError: If it is neither a version nor a folder that has one.
    """
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        return path
    if not path.is_dir():
        raise DataError(f"{path} does not exist. Expected the folder of an exported model or of one of its versions.")
    found = versions(path)
    if not found:
        raise DataError(f"{path} holds no exported version: it has no saved_model.pb and no numbered folder.")
    return found[max(found)]


@contextmanager
def publishing(folder: Path, version: int | None = None) -> Iterator[tuple[Path, Path]]:
    """Makes a new version: written under a name that a server ignores, renamed when it is complete.

    One process at a time writes into a model's folder; what a killed one left half written is removed.

    Args:
        folder: The model's folder, made if need be.
        version: The number; default the next one.

    Yields:
        The empty folder to write into, and the version's folder that it becomes when the block ends well.

    Raises:
        ConfigError: If the number cannot be a version.
        DataError: If the version is there already or the folder cannot be written.
    """
    if version is not None and not (version >= 1 and is_version(str(version))):
        raise ConfigError(f"A version is a whole number of at least 1. Received: {version}.")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            for leftover in folder.glob(f"{PARTIAL}*"):
                shutil.rmtree(leftover)
            there = versions(folder)
            number = max(there, default=0) + 1 if version is None else version
            target = there.get(number, folder / str(number))
            if target.exists():
                raise DataError(f"Version {number} is there already: {target}. A version is never overwritten.")
            partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder))
            try:
                partial.chmod(0o755)  # as a folder made by hand: the server is often another user
                yield partial, target
                _sync(partial)
                partial.rename(target)
                sync_folder(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)


def remove_version(folder: Path, version: int) -> None:
    """Removes a version: out of a server's sight first, so that it is never seen half removed."""
    hidden = folder / f"{PARTIAL}removed-{version}"
    versions(folder)[version].rename(hidden)
    shutil.rmtree(hidden)


def hide_version(folder: Path, version: int, name: str) -> None:
    """Renames a version to a name that a server ignores; what was kept under it goes."""
    shutil.rmtree(folder / name, ignore_errors=True)
    versions(folder)[version].rename(folder / name)
    sync_folder(folder)


def locked(folder: Path) -> FileLock:
    """Returns the lock of a model's folder, for a `with`: one process writes there at a time.

    A thread that holds it may take it again. The system releases the lock of a process that dies.
    """
    return FileLock(folder / _LOCK, is_singleton=True)


def _sync(folder: Path) -> None:
    """Waits until the content is on the disk: a rename that survives a power failure must not outlive what it names."""
    for root, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(root, name), "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(root))
