"""A model exported for TensorFlow Serving, before and after it is verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfadt.components.artifacts.base import Artifact, link_folder
from tfadt.errors import DataError


class SavedModel(Artifact):
    """One version of a model, as TensorFlow Serving loads it.

    Layout: `NAME/VERSION/saved_model.pb`, `NAME/VERSION/variables/`, `NAME/VERSION/assets.extra/` (`tfadt.json`: what was
    exported from where, with the SHA-256 of every file; the warm-up requests).
    """

    files = ("NAME/VERSION/saved_model.pb",)

    def version(self) -> Path:
        """Returns the folder of the version.

        Raises:
            DataError: If there is not exactly one.
        """
        found = [path.parent for path in self.path.glob("*/[0-9]*/saved_model.pb")]
        if len(found) != 1:
            names = ", ".join(str(path.relative_to(self.path)) for path in found) or "none"
            raise DataError(
                f"{self.path} is no {type(self).__name__}. Expected one NAME/VERSION/saved_model.pb. Received: {names}."
            )
        return found[0]

    def validate(self) -> None:
        """Raises DataError if there is not exactly one version, or it is no export of ours."""
        from tfadt.serving.metadata import read_metadata

        read_metadata(self.version())

    def summary(self) -> dict[str, Any]:
        """Returns name, version and what it answers."""
        from tfadt.serving.metadata import read_metadata

        metadata = read_metadata(self.version())
        return {key: metadata[key] for key in ("name", "version", "k", "signatures")}


class VerifiedModel(SavedModel):
    """A version that was proved, with its blessing beside it.

    Layout: as `SavedModel` (`NAME/VERSION/saved_model.pb` ...), and `NAME/VERSION.blessing.json`.
    """

    def copy(self, exported: SavedModel) -> Path:
        """Copies an exported version into this artifact and returns its folder; files are linked where that is possible."""
        source = exported.version()
        target = self.path / source.parent.name / source.name
        link_folder(source, target)
        return target

    def validate(self) -> None:
        """Raises DataError if the version is not blessed or was changed since."""
        from tfadt.serving.verification.verify import read_blessing

        read_blessing(self.version())

    def summary(self) -> dict[str, Any]:
        """Returns name, version, and how fast it answered."""
        from tfadt.serving.verification.verify import read_blessing

        blessing = read_blessing(self.version())
        single = [timed for timed in blessing["latencies"] if (timed["batch"], timed["clients"]) == (1, 1)]
        return {**super().summary(), **{f"p50 ms of {timed['signature']}": timed["p50"] for timed in single}}
