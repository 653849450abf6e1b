"""Removes from a pipeline's folder what no pipeline refers to any more."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tfadt.components.artifacts.pushed_model import PushedModel
from tfadt.pipelines.lineage import records_of
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
    """Removes the executions that nothing refers to.

    What stays: for each pipeline the steps of its last run, with the checkpoints of one that was interrupted, and those of
    its last whole run that ended well; and all that made a version which is served from this machine.

    Args:
        folder: A pipeline's folder.
        dry_run: Only tell what would be removed.

    Raises:
        ConfigError: If a runner is at work in it.
        DataError: If it is no pipeline's folder.
    """
    Store(folder)  # refuses a folder that is none, rather than make one
    with Store.locked(folder) as store:
        complete = store.executions()
        kept = {execution for _, state in store.states() for execution in state.executions}
        kept |= {*records_of(store, [name for name in complete if _is_served(store, name)])}
        doomed = [
            path
            for part in ("artifacts", "partial", "logs")
            for path in sorted((folder / part).iterdir())
            # What is left in `partial` of a complete execution is of a kill just after it was complete.
            if path.name.removesuffix(".log") not in kept or (part == "partial" and path.name in complete)
        ]
        size = sum(_size(path) for path in doomed)
        for path in doomed if not dry_run else []:
            if path.parent.name == "artifacts":
                store.remove(path.name)
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    return Cleaned(doomed, size, len(kept.intersection(complete)))


def _is_served(store: Store, execution: str) -> bool:
    """Returns whether an execution pushed a version that still lies where it was pushed to."""
    record = store.record(execution)
    pushed = [] if record is None else [name for name, made in record.outputs.items() if made.type == PushedModel.__name__]
    return any(PushedModel(store.artifact(execution, name)).is_served() for name in pushed)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
