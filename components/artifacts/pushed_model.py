"""Where a version was pushed to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfadt.components.artifacts.base import Artifact
from tfadt.serving.versions import ROLLED_BACK, is_remote, versions


class PushedModel(Artifact):
    """What became of a verified version.

    Layout: `pushed.json` (`pushed`: whether it was; `place`: its folder in the serving directory, or null; `reason`).
    """

    files = ("pushed.json",)

    def write(self, place: str | None, reason: str) -> None:
        """Writes where the version lies now, or why it was not pushed."""
        self.write_json("pushed.json", {"pushed": place is not None, "place": place, "reason": reason})

    def is_current(self) -> bool:
        """Returns whether the version is still the largest where it was pushed to, the one that a server takes.

        Of other machines that is not asked.
        """
        place = self.summary()["place"]
        if place is None or is_remote(place):
            return True
        return self.is_served() and max(versions(Path(place).parent)) == int(Path(place).name)

    def is_served(self) -> bool:
        """Returns whether the version still lies where it was pushed to, on this machine."""
        place = self.summary()["place"]
        return place is not None and not is_remote(place) and (Path(place) / "saved_model.pb").is_file()

    def is_taken_back(self) -> bool:
        """Returns whether the version was rolled back where it was pushed to; of other machines that is not asked."""
        place = self.summary()["place"]
        if place is None or is_remote(place):
            return False
        return Path(place).with_name(f"{ROLLED_BACK}{Path(place).name}").exists()

    def summary(self) -> dict[str, Any]:
        """Returns the content."""
        return self.read_json("pushed.json", ("pushed", "place", "reason"))
