"""Files that are whole or not there: written under a temporary name, forced to disk, renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

PARTIAL = ".partial"


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
