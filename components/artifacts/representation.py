"""The users' vectors after warm-up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfadt.components.artifacts.base import Artifact
from tfadt.errors import DataError, reading


class Representation(Artifact):
    """A vector for each user: after warm-up, the space E in which colliding inference looks for neighbours (eq. 8).

    Layout: `representation.npy` (float32 `[num_users, d]`, in code order).
    """

    files = ("representation.npy",)

    @property
    def file(self) -> Path:
        """The file."""
        return self.path / "representation.npy"

    def write(self, vectors: np.ndarray) -> None:
        """Writes the vectors."""
        self.path.mkdir(parents=True, exist_ok=True)
        np.save(self.file, vectors)

    def read(self) -> np.ndarray:
        """Returns the vectors.

        Raises:
            DataError: If the file is damaged.
        """
        with reading(self.file):
            vectors: np.ndarray = np.load(self.file, allow_pickle=False)
        if vectors.ndim != 2:
            raise DataError(f"{self.file} must hold a vector for each user. Received: an array of shape {vectors.shape}.")
        return vectors

    def summary(self) -> dict[str, Any]:
        """Returns the sizes."""
        users, size = self.read().shape
        return {"users": users, "size": size}
