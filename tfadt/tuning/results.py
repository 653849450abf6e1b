"""What a search leaves, and how a run takes it up. Importing this does not import TensorFlow.

Layout of the folder of a search:

    hyperparameters.json   the best trial over all, each search with its trials, the configuration, the data
    best.toml              the configuration with the best trial's settings: `tfadt run FOLDER/best.toml`
    MODEL-POLICY.toml      the same for each model and policy
    config.json, data/     what the search was begun with; `tfadt tune --resume FOLDER` reads them
    search/MODEL-POLICY/   keras-tuner's state, and each trial's weights
    logs/MODEL-POLICY/     TensorBoard, with the HParams of each trial
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import TypeAdapter

from tfadt.atomic import write_text
from tfadt.config import Config
from tfadt.config.loading import dump, load_config, settings_of, to_toml, with_settings
from tfadt.data import artifact
from tfadt.data.interactions import InteractionData
from tfadt.errors import DataError, reading
from tfadt.evaluation.rules import selection_rule
from tfadt.experiments.run import Run
from tfadt.registry import PLAIN, is_out_of_reach

FILE = "hyperparameters.json"
_SCHEMA = 2


@dataclass(frozen=True)
class Trial:
    """One trial of a search.

    Attributes:
        trial: Its number, as text.
        settings: The searched settings under their own names, such as `adt.learning_rate`, and with colliding inference
            `collide.lambdas` and `collide.neighbors`, the one value of each that was chosen after training, where no
            finetuning follows.
        score: The objective at the chosen epoch; None where the trial failed.
        run: What it reached: its metrics on validation, epochs and seconds; None where the trial failed.
        reason: Why it failed.
    """

    trial: str
    settings: dict[str, Any]
    score: float | None
    run: Run | None
    reason: str | None


@dataclass(frozen=True)
class Search:
    """The trials of one model under one policy.

    Attributes:
        model: Registered name.
        policy: Registered name.
        trials: In the order in which they began.
    """

    model: str
    policy: str
    trials: tuple[Trial, ...]

    @property
    def name(self) -> str:
        """Such as `gmf-t_ce`."""
        return f"{self.model}-{self.policy}"

    @property
    def best(self) -> Trial | None:
        """The trial with the highest score, the earlier of equal ones; None where all failed."""
        done = [trial for trial in self.trials if trial.score is not None]
        return max(done, key=lambda trial: trial.score or 0.0, default=None)


_TRIAL, _SEARCHES = TypeAdapter(Trial), TypeAdapter(tuple[Search, ...])


@dataclass(frozen=True)
class Hyperparameters:
    """What a search found.

    Attributes:
        objective: What trials were judged by, such as `val_recall@20`.
        searches: One for each model and policy.
        config: The configuration of the search.
    """

    objective: str
    searches: tuple[Search, ...]
    config: Config

    @property
    def best(self) -> Search | None:
        """The search whose best trial is the best of all, of an oracle only if there is no other; None if all failed."""
        within = [search for search in self.searches if not is_out_of_reach(search.policy)]
        return _best_of(within) or _best_of(self.searches)

    def apply(self, config: Config, model: str, policy: str) -> Config:
        """Returns the configuration with the best settings of a model and policy, which it then trains alone.

        Raises:
            DataError: If that model and policy were not searched, or every trial of theirs failed.
        """
        trial = self._best_trial(model, policy)
        if trial is None:
            raise DataError(f"There are no hyperparameters of {model} under {policy}. Known: {self._known()}.")
        return with_settings(
            settings_of(config, model, policy), {"adt.models": [model], "adt.policies": [policy], **trial.settings}
        )

    def apply_plainly(self, config: Config, model: str) -> Config:
        """Returns the configuration of plain training to compare the best of a model with.

        It has the best settings under `standard` where that was searched; else those of the model and of training from the
        best trial of the model, so that the two differ in the policy alone.

        Raises:
            DataError: If the model was not searched, or every trial of it failed.
        """
        if self._best_trial(model, PLAIN) is not None:
            return self.apply(config, model, PLAIN)
        best = _best_of(search for search in self.searches if search.model == model)
        if best is None or best.best is None:
            raise DataError(f"There are no hyperparameters of {model}. Known: {self._known()}.")
        found = {key: value for key, value in best.best.settings.items() if key.startswith(("adt.", "model."))}
        return with_settings(settings_of(config, model, PLAIN), {"adt.models": [model], "adt.policies": [PLAIN], **found})

    def _best_trial(self, model: str, policy: str) -> Trial | None:
        return next((s.best for s in self.searches if (s.model, s.policy) == (model, policy)), None)

    def _known(self) -> str:
        return ", ".join(search.name for search in self.searches if search.best is not None) or "none"

    @classmethod
    def load(cls, folder: Path) -> Hyperparameters:
        """Reads the folder of a search.

        Raises:
            DataError: If it is not one, or the file is damaged.
        """
        path = folder / FILE
        if not path.is_file():
            raise DataError(f"{folder} is not the folder of a search: it has no {FILE}.")
        with reading(path, "is not the result of a search"):
            found = json.loads(path.read_text(encoding="utf-8"))
            searches = _SEARCHES.validate_python(found["searches"])
            return cls(found["objective"], searches, load_config(base=found["config"]))

    def write(self, folder: Path, data: InteractionData) -> None:
        """Writes the folder of a search: `hyperparameters.json` and the TOML files."""
        of_best = None if self.best is None else self.best.best
        summary = {
            "schema": _SCHEMA,
            "objective": self.objective,
            "selection": selection_rule(self.config.adt.selection, data),
            "best": None if of_best is None else _TRIAL.dump_python(of_best, mode="json"),
            "searches": _SEARCHES.dump_python(self.searches, mode="json"),
            "config": dump(self.config),
            "data": {"fingerprint": artifact.fingerprint(data)},
        }
        write_text(folder / FILE, json.dumps(summary, indent=2) + "\n")
        self.write_toml(folder, lambda name: f"tfadt run {quote(str(folder / name))} --seeds 5")

    def write_toml(self, folder: Path, command: Callable[[str], str]) -> None:
        """Writes `best.toml` and a TOML file for each search that has a best trial.

        Args:
            folder: Where.
            command: Takes the name of such a file and returns the command that trains with it, for its first line.
        """
        searches = {search.name: search for search in self.searches} | ({} if self.best is None else {"best": self.best})
        for name, search in searches.items():
            if search.best is not None:
                write_text(folder / f"{name}.toml", self._toml(search, command(f"{name}.toml")))

    def _toml(self, search: Search, command: str) -> str:
        trial = search.best
        assert trial is not None
        assert trial.run is not None
        score = f"{self.objective} {trial.score:.4f} after epoch {trial.run.epoch}"
        config = self.apply(self.config, search.model, search.policy).model_copy(update={"tune": Config().tune})
        comments = (
            command,
            f"Trial {trial.trial} of {len(search.trials)}: {score}, "
            f"with --set {' --set '.join(set_options(trial.settings)) or 'nothing'}",
        )
        return to_toml(config, comments)


def _best_of(searches: Iterable[Search]) -> Search | None:
    done = [search for search in searches if search.best is not None]
    return max(done, key=lambda search: search.best.score or 0.0, default=None)  # type: ignore[union-attr]


def set_options(settings: dict[str, Any]) -> Sequence[str]:
    """Returns settings as the command line takes them, such as `adt.learning_rate=0.001`."""
    return [f"{key}={json.dumps(value) if isinstance(value, bool) else value}" for key, value in settings.items()]
