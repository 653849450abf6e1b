"""Files in TFDS's manual directory: reading their lines in batches."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import tensorflow_datasets as tfds

from tfadt.errors import DataError

# Text is held in memory for one batch of lines at a time; a longer line is no record of a log.
BATCH_LINES = 16_384
MAX_LINE_BYTES = 1 << 24
# What one Beam worker reads at a time.
RANGE_BYTES = 1 << 26
# TFDS sorts examples by a 128-bit key: place in the files, then number within a range.
_KEY_BITS, _NUMBER_BITS = 128, 40
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class FileRange:
    """The lines of a file that begin in a range of its bytes.

    Attributes:
        path: The file.
        start: First byte.
        stop: Byte after the last; of a gzip file, which is read as a whole, of the compressed file.
        header: Names in the file's first line, which is then no row; empty if it has none.
        before: Bytes of the files that are read before this one.
        total: Bytes of all files.
    """

    path: str
    start: int
    stop: int
    header: tuple[str, ...]
    before: int
    total: int

    def key(self, position: int, number: int) -> int:
        """Returns the key of a row, ascending in the order of the files.

        TFDS sorts with bounded memory by the key's leading bits, so that keys have to fill all 128 of them.

        Args:
            position: Where in the file the row's batch begins, bytes.
            number: Rows of the range that come before it.
        """
        unused = _KEY_BITS - _NUMBER_BITS - self.total.bit_length()
        return ((self.before + position) << _NUMBER_BITS | number) << unused


def split_files(
    paths: Sequence[tfds.core.Path], header_of: Callable[[bytes, str], tuple[str, ...]], size: int | None = None
) -> list[FileRange]:
    """Cuts files into ranges that can be read apart from one another.

    Args:
        paths: The files, in order.
        header_of: Names in a file's first line (the line, the path), empty where that is a row already.
        size: Bytes of a range (default `RANGE_BYTES`).
    """
    size = size or RANGE_BYTES
    lengths = [path.stat().length for path in paths]
    ranges, before = [], 0
    for path, length in zip(paths, lengths, strict=True):
        header = header_of(_first_line(str(path)), str(path))
        step = length if _is_gzip(str(path)) else size
        for start in range(0, length, max(step, 1)):
            ranges.append(FileRange(str(path), start, min(start + step, length), header, before, sum(lengths)))
        before += length
    return ranges


def read_batches(part: FileRange) -> Iterator[tuple[int, list[bytes]]]:
    """Yields the position of a batch and its lines, each ending in a line break; without header and blank lines.

    Raises:
        DataError: If the file cannot be read, or a line is longer than `MAX_LINE_BYTES`.
    """
    lines = _lines(part)
    if part.header and part.start == 0:
        next(lines, None)
    position = part.start
    batch: list[bytes] = []
    for place, line in lines:
        if not line.strip():
            continue
        position = position if batch else place
        batch.append(line if line.endswith(b"\n") else line + b"\n")
        if len(batch) == BATCH_LINES:
            yield position, batch
            batch = []
    if batch:
        yield position, batch


def _lines(part: FileRange) -> Iterator[tuple[int, bytes]]:
    """Yields each line of a range and where it begins (gzip: how far the compressed file has been read)."""
    try:
        with tfds.core.Path(part.path).open("rb") as raw:
            zipped = _is_gzip(part.path)
            stream: IO[bytes] | Any = gzip.GzipFile(fileobj=raw) if zipped else raw
            position = part.start
            if part.start:
                # The line that lies across the border belongs to the range before.
                stream.seek(part.start - 1)
                position += len(_read_line(stream, part.path)) - 1
            while zipped or position < part.stop:
                # Read to its end, a gzip file would stand where the next one begins, whose rows are counted anew.
                place = min(raw.tell(), part.stop - 1) if zipped else position
                line = _read_line(stream, part.path)
                if not line:
                    return
                yield place, line.removeprefix(_BOM) if position == 0 else line
                position += len(line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{part.path} is not a complete gzip file: {error}.") from error
    except OSError as error:
        raise DataError(f"{part.path} cannot be read: {error.strerror or error}.") from error


def _read_line(stream: IO[bytes], path: str) -> bytes:
    line = stream.readline(MAX_LINE_BYTES)
    if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
        raise DataError(f"{path} has a line of more than {MAX_LINE_BYTES} bytes. Expected one record a line.")
    return line


def _first_line(path: str) -> bytes:
    whole = FileRange(path, 0, 1, (), 0, 1)
    return next((line for _, line in _lines(whole)), b"")


def _is_gzip(path: str) -> bool:
    return path.endswith(".gz")
