"""Lines of files: however a file is cut into ranges, each line is read once, and in order."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfadt.errors import DataError

tfds = pytest.importorskip("tensorflow_datasets")
files = pytest.importorskip("tfadt.datasets.files")

REPEATED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
LINES = st.lists(st.binary(max_size=6).filter(lambda line: b"\n" not in line and not line.startswith(b"\xef")), max_size=12)


def no_header(first_line: bytes, path: str) -> tuple[str, ...]:
    return ()


def read(paths: list[Path], size: int, header_of=no_header) -> tuple[list[bytes], list[int]]:
    """All lines, and the keys that their rows would have."""
    lines, keys = [], []
    for part in files.split_files([tfds.core.Path(path) for path in paths], header_of, size):
        number = 0
        for position, batch in files.read_batches(part):
            for line in batch:
                lines.append(line)
                keys.append(part.key(position, number))
                number += 1
    return lines, keys


@given(first=LINES, second=LINES, size=st.integers(1, 30), batch=st.integers(1, 4), ends=st.booleans())
@REPEATED
def test_each_line_is_read_once_and_keys_ascend(
    first: list[bytes], second: list[bytes], size: int, batch: int, ends: bool, tmp_path: Path
) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, lines in zip(paths, (first, second), strict=True):
        path.write_bytes(b"\n".join(lines) + (b"\n" if ends else b""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BATCH_LINES", batch)
        lines, keys = read(paths, size)
    assert lines == [line + b"\n" for line in first + second if line.strip()]
    assert all(low < high for low, high in itertools.pairwise(keys))
    assert all(0 <= key < 2**128 for key in keys)


@given(counts=st.lists(st.integers(1, 9), min_size=2, max_size=3), batch=st.integers(1, 4))
@REPEATED
def test_keys_ascend_over_several_gzip_files(counts: list[int], batch: int, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.gz" for number in range(len(counts))]
    for path, count in zip(paths, counts, strict=True):
        path.write_bytes(gzip.compress(b"".join(b"%s %d\n" % (path.name.encode(), row) for row in range(count))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BATCH_LINES", batch)
        lines, keys = read(paths, 100)
    assert len(lines) == sum(counts)
    assert all(low < high for low, high in itertools.pairwise(keys))


def test_keys_fill_the_space_that_tfds_sorts_by(tmp_path: Path) -> None:
    """TFDS divides 2**128 keys among 1,000 files on disk, of which it holds one in memory at a time."""
    (tmp_path / "log").write_bytes(b"0123456\n" * 4096)
    _, keys = read([tmp_path / "log"], size=1024)
    eighths = [key * 8 // 2**128 for key in keys]
    # 32 KiB need 16 bits, of which the uppermost is set for the last byte alone: keys fill one half.
    assert [eighths.count(part) for part in range(8)] == [1024, 1024, 1024, 1024, 0, 0, 0, 0]


@given(lines=LINES)
@REPEATED
def test_a_gzip_file_is_read_as_the_plain_one(lines: list[bytes], tmp_path: Path) -> None:
    content = b"\n".join(lines)
    (tmp_path / "log").write_bytes(content)
    (tmp_path / "log.gz").write_bytes(gzip.compress(content))
    zipped, keys = read([tmp_path / "log.gz"], size=5)
    assert zipped == read([tmp_path / "log"], size=5)[0]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("name", ["log", "log.gz"])
def test_a_header_is_no_row_of_any_range_and_a_byte_order_mark_no_text(name: str, tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfname\n1\n2\n3\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    seen = []

    def header_of(first_line: bytes, path: str) -> tuple[str, ...]:
        seen.append(first_line)
        return ("name",)

    assert read([tmp_path / name], 4, header_of)[0] == [b"1\n", b"2\n", b"3\n"]
    assert seen == [b"name\n"]
    assert read([tmp_path / name], 4)[0] == [b"name\n", b"1\n", b"2\n", b"3\n"]


def test_a_line_beyond_all_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 8)
    (tmp_path / "log").write_bytes(b"1234567\n" + b"9" * 20)
    with pytest.raises(DataError, match=r"log has a line of more than 8 bytes\. Expected one record a line"):
        read([tmp_path / "log"], 100)


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"1\n2\n" * 1000)[:-9])
    with pytest.raises(DataError, match=r"log\.gz is not a complete gzip file"):
        read([tmp_path / "log.gz"], 100)
