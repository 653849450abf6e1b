"""Output folders: known by a marker, so that nothing foreign is replaced, and written to by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tfadt.errors import ConfigError, DataError, writing


def is_locked(out: Path, marker: str) -> bool:
    """Returns whether a process is writing to the folder that this file marks."""
    if not (out / marker).is_file():
        return False
    try:
        with FileLock(out / marker, timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def locked(out: Path, marker: str, kind: str, command: str) -> Iterator[None]:
    """Makes the folder if need be and keeps other processes from writing into it.

    Args:
        out: The folder.
        marker: Name of the file that marks it as one of ours.
        kind: What it holds, such as `run`.
        command: What writes it, such as `tfadt run`.

    Raises:
        ConfigError: If another process writes to it already.
        DataError: If the folder holds something else, or cannot be made.
    """
    with writing(f"The output folder {str(out)[:200]}"), suppress(FileNotFoundError):
        out.stat()
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / marker).is_file()):
        raise DataError(f"{out} exists and holds no tfadt {kind}. Expected a new folder or an earlier {kind}'s.")
    with ExitStack() as held:
        with writing(f"The output folder {out}"):
            out.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(FileLock(out / marker, timeout=0))
            except Timeout as error:
                raise ConfigError(f"Another process is writing to {out}. Wait for it, or name another folder.") from error
            (out / marker).write_text(f"Written by `{command}`, which may replace this folder's results.\n")
        yield
