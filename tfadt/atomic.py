"""Files and folders that are whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PARTIAL = ".partial"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
# So long after it was made, a folder that nobody has locked is one that a killed process left.
_STALE_SECONDS = 60


def write_text(path: Path, text: str) -> None:
    """Makes the file `path` with this text; raises as `write_atomically` does."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Makes the file `path` by `write(temporary)`; whenever the process dies, `path` is the old or the new file.

    Args:
        path: The file, in a folder that exists.
        write: Writes the file that it is given. Its name ends as that of `path`, since some writers go by it.

    Raises:
        OSError: If it cannot be written; the temporary file is then removed and `path` is what it was.
    """
    temporary = path.with_name(f"{PARTIAL}.{path.name}")
    temporary.unlink(missing_ok=True)  # a link that lies there would be followed
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yields a new folder that is removed at the end; those that killed processes left under the prefix are removed as well.

    Args:
        parent: Where it is made; made itself if it is not there.
        prefix: How its name begins.

    Raises:
        OSError: If it cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with os.scandir(parent) as entries:
        for entry in [entry for entry in entries if entry.name.startswith(prefix)]:
            _remove_if_stale(Path(entry.path))
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with FileLock(folder / "lock"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_stale(folder: Path) -> None:
    try:
        if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
            with FileLock(folder / "lock", timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
    except (Timeout, OSError):
        pass  # in use, or gone already


def replace_folder(new: Path, folder: Path) -> None:
    """Puts the folder `new` in the place of `folder`, what was there in the place of `new`.

    Whenever the process dies, `folder` is the old or the new one, where the system can exchange two names at once (Linux);
    elsewhere it is missing for the moment between two renames.

    Raises:
        OSError: If it cannot be renamed; `folder` is then what it was.
    """
    if not folder.exists():
        new.rename(folder)
        return
    exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = (os.fsencode(new), os.fsencode(folder))
    if exchange and exchange(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return
    old = new.with_name(f"{new.name}.old")
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    old.rename(new)
