"""What memory there is, and what is refused before the system kills the process for it."""

import pytest

from tfadt import memory
from tfadt.errors import OutOfMemoryError


@pytest.fixture
def meminfo(monkeypatch, tmp_path):
    path = tmp_path / "meminfo"
    monkeypatch.setattr(memory, "_MEMINFO", path)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "cgroup")
    return path


def test_available_memory_reads_kibibytes(meminfo):
    assert memory.available_memory() is None
    meminfo.write_text("MemTotal:  2000 kB\nMemAvailable:   1000 kB\nHugePages_Total:  0\n")
    assert memory.available_memory() == 1_024_000


def test_what_does_not_fit_is_refused_with_its_size_and_what_to_lower(meminfo):
    meminfo.write_text("MemAvailable: 4000000 kB\n")
    memory.require_memory("The user table", 4_000_000_000, "embedding_dim")
    with pytest.raises(OutOfMemoryError) as caught:
        memory.require_memory("The user table", 5_000_000_000, "embedding_dim")
    assert str(caught.value) == ("The user table needs 5.0 GB of memory, and 4.1 GB are to be had. Lower embedding_dim.")


def test_where_the_system_does_not_say_nothing_is_refused(meminfo):
    memory.require_memory("The user table", 10**18, "embedding_dim")


def test_in_a_container_its_limit_counts(meminfo, tmp_path):
    meminfo.write_text("MemAvailable: 4000000 kB\n")
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "cgroup" / "memory.max").write_text("max\n")
    assert memory.available_memory() == 4_096_000_000
    (tmp_path / "cgroup" / "memory.max").write_text("1000000\n")
    (tmp_path / "cgroup" / "memory.current").write_text("700000\n")
    (tmp_path / "cgroup" / "memory.stat").write_text("anon 1\ninactive_file 200000\n")
    assert memory.available_memory() == 500_000
