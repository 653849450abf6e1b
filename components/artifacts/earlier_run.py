"""The run that a training goes on from, and that new data are put beside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfadt.components.artifacts.base import Artifact, link_file, link_folder
from tfadt.experiments.layout import RESULTS, Layout

if TYPE_CHECKING:
    from tfadt.experiments.saved import SavedRun


class EarlierRun(Artifact):
    """One model of an earlier run with its data and settings; none on the first day.

    Layout: `earlier.json` (`run`: the folder that it was taken from, or null; `model`: the model's name there;
    `carried_over`: how many users and items a training takes over), `run/` (`results.json`, `data/`,
    `models/NAME.keras`).
    """

    files = ("earlier.json",)

    def write(self, saved: SavedRun | None, name: str | None = None, carried_over: str | None = None) -> None:
        """Writes what is needed of a run; None if there is none."""
        folder = None if saved is None else str(saved.folder)
        self.write_json("earlier.json", {"run": folder, "model": name, "carried_over": carried_over})
        if saved is not None and name is not None:
            link_file(saved.folder / RESULTS, self._run.out / RESULTS)
            link_folder(saved.layout.data, self._run.data)
            link_file(saved.layout.model(name), self._run.model(name))

    @property
    def file(self) -> Path | None:
        """The file of the model; None if there is no earlier run."""
        name = self.summary()["model"]
        return None if name is None else self._run.model(name)

    def read(self) -> tuple[SavedRun, str] | None:
        """Returns the run and the name of its model; None if there is none.

        Raises:
            DataError: If it is damaged.
        """
        from tfadt.experiments.saved import SavedRun

        name = self.summary()["model"]
        return None if name is None else (SavedRun.open(self._run.out), name)

    def summary(self) -> dict[str, Any]:
        """Returns which run it is, and what is taken over."""
        return self.read_json("earlier.json", ("run", "model", "carried_over"))

    @property
    def _run(self) -> Layout:
        return Layout(self.path / "run")
