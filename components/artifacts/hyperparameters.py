"""What a search found."""

from __future__ import annotations

import shutil
from pathlib import Path
from shlex import quote
from typing import Any

from tfadt.components.artifacts.base import Artifact
from tfadt.config import Config
from tfadt.registry import PLAIN
from tfadt.tuning.results import FILE
from tfadt.tuning.results import Hyperparameters as Found


class Hyperparameters(Artifact):
    """The best settings of a search, and every trial.

    Layout: `hyperparameters.json` (the best trial over all, each search with its trials, the configuration, the data),
    `best.toml` and one `MODEL-POLICY.toml` for each model and policy (what `tfadt run` takes beside `--data`: they name no
    data set), `logs/` (TensorBoard).
    """

    files = (FILE, "best.toml")

    def copy(self, search: Path) -> None:
        """Takes the results out of the folder of a search."""
        self.path.mkdir(parents=True, exist_ok=True)
        shutil.copy2(search / FILE, self.path / FILE)
        Found.load(search).write_toml(self.path, lambda name: f"tfadt run {quote(name)} --data DATA --seeds 5")
        if (search / "logs").is_dir():
            shutil.copytree(search / "logs", self.path / "logs", dirs_exist_ok=True)

    def apply(self, settings: Config) -> Config:
        """Returns settings with the best values for their model and policy.

        Plain training, which is what others are compared with, gets those of its model and of training where the search
        was under another policy.

        Raises:
            DataError: If these were not searched, or the file is damaged.
        """
        found, model, policy = Found.load(self.path), settings.adt.models[0], settings.adt.policies[0]
        return found.apply_plainly(settings, model) if policy == PLAIN else found.apply(settings, model, policy)

    def summary(self) -> dict[str, Any]:
        """Returns the best trial: its score and its settings."""
        best = self.read_json(FILE, ("objective", "best"))
        return {best["objective"]: best["best"]["score"], **best["best"]["settings"]}
