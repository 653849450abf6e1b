"""Removes from a pipeline's folder what no pipeline's last run refers to."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tfadt.pipelines.store import Store


@dataclass(frozen=True)
class Cleaned:
    """What was removed.

    Attributes:
        paths: Folders of executions, remains of interrupted ones, and logs.
        bytes: Their size.
        kept: Number of complete executions that stay.
    """

    paths: list[Path]
    bytes: int
    kept: int


def clean(folder: Path, dry_run: bool = False) -> Cleaned:
    """Removes the executions that are no step of any pipeline's last run in the folder.

    Of steps that are part of a last run, everything stays, the checkpoints of one that was interrupted included.

    Args:
        folder: A pipeline's folder.
        dry_run: Only tell what would be removed.

    Raises:
        ConfigError: If a runner is at work in it.
        DataError: If it is no pipeline's folder.
    """
    Store(folder)  # refuses a folder that is none, rather than make one
    with Store.locked(folder) as store:
        referenced = {step.execution for _, state in store.states() for step in state.steps.values()}
        doomed = [
            path
            for part in ("artifacts", "partial", "logs")
            for path in sorted((folder / part).iterdir())
            if path.name.removesuffix(".log") not in referenced
        ]
        size = sum(_size(path) for path in doomed)
        for path in doomed if not dry_run else []:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        kept = [name for name in store.executions() if name in referenced]
    return Cleaned(doomed, size, len(kept))


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
