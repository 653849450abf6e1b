"""A worker that knows the folder of its search and no address: on a cluster nobody knows where the chief will be."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tfadt.errors import ConfigError, DataError
from tfadt.tuning import distribution
from tfadt.tuning.distribution import Role, announced
from tfadt.tuning.search import is_over

_LOOK = 5.0
"""Seconds after which it looks again who the chief is, and whether the search is over."""


def follow_chief(out: Path) -> None:
    """Makes trials of a search of one model under one policy, until its results are there.

    They are made by `tfadt tune --resume` in a process of its own, which is left when another chief takes the place of one
    that died: keras-tuner's worker would ask the old address for an hour.

    Args:
        out: The folder of the search, which the chief makes.

    Raises:
        ConfigError: If there is no chief for an hour.
        DataError: If what the chief has left is damaged, or that process failed.
    """
    seen = time.monotonic()
    while not is_over(out):
        part = announced(out)
        if part is not None and part.chief_listens():
            _make_trials(part, out)
            seen = time.monotonic()
        elif time.monotonic() - seen > distribution.PATIENCE:
            found = "no chief has left its address there" if part is None else f"nobody listens at {part.address}"
            raise ConfigError(
                f"The search in {out} has no chief: {found}. Expected one within {distribution.PATIENCE / 60:.0f} minutes."
            )
        time.sleep(_LOOK)


def _make_trials(part: Role, out: Path) -> None:
    """Works for a chief until the search is over for it, it is gone, or there is another."""
    print(f"{part.name} works for the chief at {part.address}", flush=True)
    command = [sys.executable, "-m", "tfadt", "tune", "--resume", str(out)]
    with subprocess.Popen(command, env={**os.environ, **part.environment}) as process:
        try:
            while _runs(process):
                now = announced(out)
                if now is not None and now.address != part.address:
                    print(f"The chief is at {now.address} now", flush=True)
                    return
        finally:
            process.kill()
    if process.returncode:
        if not part.chief_listens():  # which ends a request that is under way with an error
            print(f"The chief at {part.address} is gone", flush=True)
            return
        raise DataError(
            f"What made the trials for the chief at {part.address} ended with code {process.returncode}. Expected 0; a "
            "negative code is the number of the signal that ended it, 9 most often for want of memory."
        )


def _runs(process: subprocess.Popen[bytes]) -> bool:
    """Returns whether the process is still there after a while."""
    try:
        process.wait(_LOOK)
    except subprocess.TimeoutExpired:
        return True
    return False
