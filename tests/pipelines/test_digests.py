from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfadt.errors import DataError
from tfadt.pipelines import records
from tfadt.pipelines.records import Digests


def test_a_file_is_hashed_by_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"clicks")
    assert Digests(tmp_path / "memory").of_file(tmp_path / "a") == hashlib.sha256(b"clicks").hexdigest()


def test_a_folder_is_hashed_by_names_and_contents(tmp_path: Path) -> None:
    found = set()
    for name, files in {
        "one": {"a": "1", "b": "2"},
        "swapped": {"a": "2", "b": "1"},
        "renamed": {"a": "1", "c": "2"},
        "deeper": {"a": "1", "sub/b": "2"},
        "joined": {"a": "12"},
    }.items():
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        found.add(Digests(tmp_path / "memory").of_path(tmp_path / name))
    assert len(found) == 5


def test_settled_files_are_remembered_and_changed_ones_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_SETTLED_NS", -1)
    file, memory = tmp_path / "a", tmp_path / "memory"
    file.write_text("one")
    first = Digests(memory)
    first.of_file(file)
    first.save()
    key = str(file)
    known = json.loads(memory.read_text())
    memory.write_text(json.dumps({key: [*known[key][:-1], "remembered"]}))
    assert Digests(memory).of_file(file) == "remembered"
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Digests(memory).of_file(file) == hashlib.sha256(b"two").hexdigest()


def test_fresh_files_are_not_trusted_yet(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    known = Digests(tmp_path / "memory")
    known.of_file(tmp_path / "a")
    known.save()
    assert json.loads((tmp_path / "memory").read_text()) == {}


@given(st.one_of(st.binary(max_size=40), st.sampled_from([b"[]", b'{"a": 1}', b'{"a": []}', b'{"a": [1, "x"]}'])))
def test_a_memory_of_any_content_does_no_harm(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("digests")
    file = folder / "a"
    file.write_text("one")
    (folder / "memory").write_bytes(content.replace(b'"a"', json.dumps(str(file)).encode()))
    assert Digests(folder / "memory").of_file(file) == hashlib.sha256(b"one").hexdigest()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere cannot be read: No such file or directory\."):
        Digests(tmp_path / "memory").of_path(tmp_path / "nowhere")
