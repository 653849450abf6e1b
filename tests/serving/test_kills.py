"""Killed at random moments, an export and a push never leave anything that a server would load and that is not whole."""

import multiprocessing
import os
import random
import time

import pytest
import serving_kills
from serving_cases import seen_by_server

from tfadt.serving.metadata import check_files
from tfadt.serving.served import load_served
from tfadt.serving.versions import PARTIAL

KILLS = int(os.environ.get("TFADT_SOAK_KILLS", "2"))
SEED = int(os.environ.get("TFADT_SOAK_SEED", "0"))
MORE_KILLS = 20
LONGEST_WAIT = 60.0
LOOK = 0.002  # seconds between two looks, a fraction of the time in which a version is written


def check_all(folder, checked):
    """Looks at the folder as a server does; whatever is listed for the first time must be whole."""
    for version in seen_by_server(folder):
        if version.name in checked:
            continue
        try:
            check_files(version)
        except Exception:
            if version.exists():  # else it was removed just now
                raise
        checked.add(version.name)


def half_written(folder):
    """Returns whether a version is being written."""
    return folder.is_dir() and any(name.startswith(PARTIAL) for name in os.listdir(folder))


@pytest.mark.parametrize(("work", "writing"), [(serving_kills.export_for_ever, 0.3), (serving_kills.push_for_ever, 0.03)])
def test_no_half_version_is_ever_listed(work, writing, exports, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["serving_kills"])
    folder = tmp_path / "gmf"
    checked, in_the_midst = set(), 0
    chance = random.Random(SEED)
    for kill in range(KILLS + MORE_KILLS):
        if kill >= KILLS and in_the_midst:  # else by chance none came while a version was being written
            break
        process = context.Process(target=work, args=(folder, exports["gmf"]))
        process.start()
        begun, before = time.monotonic(), len(checked)
        # Every other kill comes while a version is being written; the rest at any time after one is finished.
        while time.monotonic() - begun < LONGEST_WAIT and not (len(checked) > before if kill % 2 else half_written(folder)):
            time.sleep(LOOK)
            if kill % 2:
                check_all(folder, checked)
        deadline = time.monotonic() + chance.uniform(0, 2.0 if kill % 2 else writing)
        while time.monotonic() < deadline:
            time.sleep(LOOK)
            check_all(folder, checked)
        assert process.is_alive(), process.exitcode
        process.kill()
        process.join()
        in_the_midst += half_written(folder)
        check_all(folder, checked)
    assert checked, "no version was ever finished"
    assert in_the_midst, "no kill came while a version was being written"
    for version in seen_by_server(folder):
        assert "recommend" in load_served(version).signatures
