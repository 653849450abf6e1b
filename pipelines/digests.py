"""SHA-256 of files and folders, remembered for files that have not changed since."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from tfadt.atomic import write_text
from tfadt.errors import DataError

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
