"""Checkpoints of a training: everything that the coming steps depend on, so that a resumed run is bit for bit the same."""

from __future__ import annotations

import json
import re
import shutil
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfadt.atomic import write_atomically

_NAME = re.compile(r"step-(\d{12})\.npz")
_KEPT = 2
_FACTS = "facts"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after some step.

    Attributes:
        step: Steps made.
        arrays: Name -> array, or what numpy makes one of when it is written; read one by one, since tables are large. The
            raw state, never brought up to date for the purpose.
        facts: What is not an array (JSON).
    """

    step: int
    arrays: Mapping[str, Any]
    facts: dict[str, Any]


class CheckpointStore:
    """The checkpoints of one training in a folder: `step-000000001200.npz`, the last good ones.

    A file is renamed into place when it is complete and on disk, and the one before it is kept, so whatever happens during a
    write there is one to go on from. Each array carries a checksum (the archive's CRC-32), which reading checks.

    Args:
        folder: Made at the first write.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, checkpoint: Checkpoint) -> bool:
        """Writes a checkpoint and forgets all but the last two.

        Returns:
            Whether it could be written. A full disk is no reason to lose a training: a warning names what is left.
        """
        path = self.folder / f"step-{checkpoint.step:012d}.npz"
        arrays: dict[str, Any] = {**checkpoint.arrays, _FACTS: np.array(json.dumps(checkpoint.facts))}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda temporary: np.savez(temporary, **arrays))
        except OSError as error:
            steps = [step for step, _ in self._files()]
            left = f"The last good one is of step {steps[-1]}" if steps else "There is none yet"
            warnings.warn(
                f"The checkpoint of step {checkpoint.step} cannot be written to {self.folder}: {error.strerror or error}. "
                f"{left}; the training goes on.",
                stacklevel=2,
            )
            return False
        for _, old in self._files()[:-_KEPT]:
            old.unlink(missing_ok=True)
        return True

    def latest(self) -> Checkpoint | None:
        """Returns the newest checkpoint that can be read; None where there is none. Damaged ones are named in a warning."""
        for step, path in reversed(self._files()):
            try:
                file = np.load(path, allow_pickle=False)
                damaged = file.zip.testzip()  # reads all of it, and checks each array's checksum
                if damaged is not None:
                    raise ValueError(f"{damaged} has another checksum")
                facts = json.loads(str(file[_FACTS]))
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                warnings.warn(f"The checkpoint {path} is damaged ({error}); the one before it is used.", stacklevel=2)
                continue
            return Checkpoint(step, file, facts)
        return None

    def latest_step(self) -> int | None:
        """Returns the step of the newest checkpoint, read or not; None where there is none."""
        return max((step for step, _ in self._files()), default=None)

    def clear(self) -> None:
        """Removes all checkpoints and what a killed write left."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[tuple[int, Path]]:
        if not self.folder.is_dir():
            return []
        found = ((_NAME.fullmatch(path.name), path) for path in self.folder.iterdir())
        return sorted((int(match[1]), path) for match, path in found if match)
