"""The folder of checkpoints: the newest good one, whatever happened to the others."""

import subprocess
import sys

import numpy as np
import pytest

from tfadt.training.checkpoints import Checkpoint, CheckpointStore


def checkpoint(step):
    return Checkpoint(step, {"a": np.full(1000, step, np.float32), "b/0": np.arange(3)}, {"epochs": [{"loss": 0.5}]})


def test_the_newest_comes_back_as_it_was(tmp_path):
    store = CheckpointStore(tmp_path / "c")
    assert store.latest() is None
    assert store.save(checkpoint(5))
    assert store.save(checkpoint(12))
    found = store.latest()
    assert (found.step, found.facts) == (12, {"epochs": [{"loss": 0.5}]})
    np.testing.assert_array_equal(found.arrays["a"], np.full(1000, 12, np.float32))
    np.testing.assert_array_equal(found.arrays["b/0"], np.arange(3))


def test_two_are_kept_and_clearing_removes_them(tmp_path):
    store = CheckpointStore(tmp_path / "c")
    for step in (1, 2, 3, 10):
        store.save(checkpoint(step))
    assert sorted(path.name for path in store.folder.iterdir()) == ["step-000000000003.npz", "step-000000000010.npz"]
    store.clear()
    assert store.latest() is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_one_is_named_and_the_one_before_it_used(damage, tmp_path):
    store = CheckpointStore(tmp_path / "c")
    store.save(checkpoint(1))
    store.save(checkpoint(2))
    path = store.folder / "step-000000000002.npz"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[:-300], "flipped": content, "empty": b"", "text": b"no archive"}[damage])
    with pytest.warns(UserWarning, match=r"step-000000000002\.npz is damaged"):
        assert store.latest().step == 1


def test_what_a_killed_write_left_is_no_checkpoint(tmp_path):
    store = CheckpointStore(tmp_path / "c")
    store.save(checkpoint(1))
    (store.folder / ".partial.step-000000000009.npz").write_bytes(b"half")
    assert store.latest().step == 1


def test_where_a_file_cannot_grow_the_last_good_one_stays(tmp_path):
    # A real limit of the system, in a process of its own: files may not grow beyond 3 kB.
    code = f"""
import resource, signal, warnings
from pathlib import Path
import numpy as np
from tfadt.training.checkpoints import Checkpoint, CheckpointStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = CheckpointStore(Path({str(tmp_path / "c")!r}))
assert store.save(Checkpoint(1, {{"a": np.zeros(4)}}, {{}}))
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert not store.save(Checkpoint(2, {{"a": np.zeros(4000)}}, {{}}))
assert "The last good one is of step 1; the training goes on." in str(caught[0].message), caught[0].message
assert store.latest().step == 1
assert [path.name for path in store.folder.iterdir()] == ["step-000000000001.npz"]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
