"""The blocks of a long ranking in a file, so that one that was cut goes on where it was."""

from __future__ import annotations

import hashlib
import os
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

_KEY_BYTES = 32


class KeptBlocks:
    """Keeps the whole blocks of one ranking, in their order.

    The file begins with a key, which says what was ranked. A block carries a checksum: one that a kill or a power failure
    left half written is ranked again, as are those after it.

    Args:
        path: The file; its folder is made with it.
        fingerprint: Returns what the scores follow from, such as a digest of the model's weights.
    """

    def __init__(self, path: Path, fingerprint: Callable[[], bytes]):
        self._path = path
        self._fingerprint = fingerprint
        self._record = np.dtype([])
        self._writable = True

    def begin(self, what: bytes, items: np.ndarray, scores: np.ndarray, block: int) -> int:
        """Gives the first blocks of a ranking back, and forgets those of any other ranking.

        Args:
            what: Which ranking it is, the scores apart: a digest of the users, the number of items and what is left out.
            items: int64 `[U, k]`, into which the items of these blocks are written.
            scores: float32 `[U, k]`, into which their scores are written.
            block: Users of a block.

        Returns:
            How many users that are.
        """
        shape = (block, items.shape[1])
        self._record = np.dtype([("items", "<i8", shape), ("scores", "<f4", shape), ("checksum", "<u4")])
        key = hashlib.sha256(self._fingerprint() + what + repr(shape).encode()).digest()
        count = 0
        try:
            with self._path.open("rb") as file:
                known = file.read(_KEY_BYTES) == key
            for found in np.fromfile(self._path, self._record, offset=_KEY_BYTES) if known else ():
                if found["checksum"] != _checksum(found["items"], found["scores"]):
                    break
                rows = slice(count * block, (count + 1) * block)
                items[rows], scores[rows] = found["items"], found["scores"]
                count += 1
        except OSError:
            pass  # there is none
        self._write(lambda: self._cut(key, count))
        return count * block

    def keep(self, items: np.ndarray, scores: np.ndarray) -> None:
        """Adds the next block, int64 and float32 `[block, k]`; a shorter one, the last of all, is not kept."""
        if len(items) == self._record["items"].shape[0]:
            block = np.zeros((), self._record)
            block["items"], block["scores"], block["checksum"] = items, scores, _checksum(items, scores)
            self._write(lambda: self._append(block.tobytes()))

    def _cut(self, key: bytes, count: int) -> None:
        if count:
            os.truncate(self._path, _KEY_BYTES + count * self._record.itemsize)
        else:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(key)

    def _append(self, content: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(content)

    def _write(self, write: Callable[[], None]) -> None:
        if not self._writable:
            return
        try:
            write()
        except OSError as error:
            self._writable = False
            warnings.warn(
                f"{self._path} cannot be written: {error.strerror or error}. The ranking goes on; one that is cut begins "
                "where the file ends.",
                stacklevel=2,
            )


def _checksum(items: np.ndarray, scores: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(scores, "<f4").data, zlib.crc32(np.ascontiguousarray(items, "<i8").data))
