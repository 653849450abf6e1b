"""A trained model with its data, settings and metrics, as the library's verbs read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfadt.components.artifacts.base import Artifact, link_file, link_folder
from tfadt.components.artifacts.model import Model
from tfadt.components.artifacts.representation import Representation
from tfadt.config import Config
from tfadt.config.section import Section
from tfadt.data.interactions import InteractionData
from tfadt.experiments.layout import EPOCHS, REPORT, RESULTS, Layout

if TYPE_CHECKING:
    from tfadt.experiments.run import Run
    from tfadt.experiments.saved import SavedRun


class TrainedRun(Artifact):
    """The folder of a `tfadt run` of one model: `tfadt recommend`, `evaluate`, `denoise` and `export` take it too.

    Layout: `results.json` and `results.md` (settings, metrics, the floor of popularity), `data/` (the data set),
    `models/NAME.keras`, `per_user/NAME.parquet` (metrics of each user), `warmup/NAME.npy` (the users' vectors after warm-up,
    if there was one), `training.parquet` (one row an epoch), `collide/` (colliding inference, if it was chosen).
    """

    files = (RESULTS, REPORT, EPOCHS)

    def write(
        self, config: Config, data: InteractionData, runs: Sequence[Run], model: Model, representation: Representation | None
    ) -> None:
        """Writes the folder.

        Args:
            config: The settings as they were used.
            data: The data set, with its extra feedback.
            runs: The floor of popularity, what else was compared, and last the run of the model.
            model: The model.
            representation: The users' vectors after its warm-up.
        """
        from tfadt.data import artifact
        from tfadt.experiments.report import write_report

        name = runs[-1].name
        self.path.mkdir(parents=True, exist_ok=True)
        layout = Layout(self.path)
        artifact.save(data, layout.data)
        link_file(model.file, layout.model(name))
        if representation is not None:
            link_file(representation.file, layout.warmup(name))
        layout.per_user(name).parent.mkdir()
        for run in runs:
            run.evaluation.per_user.to_parquet(layout.per_user(run.name), index=False)
        run = runs[-1]
        history = model.history().assign(model=run.model, policy=run.policy, plan=run.plan, seed=run.seed)
        history.to_parquet(self.path / EPOCHS, index=False)
        compared = [replace(other, has_model=False) for other in runs[:-1]]
        write_report(config, data, [*compared, run], self.path)

    def copy(self, earlier: TrainedRun, sections: Mapping[str, Section]) -> None:
        """Takes the files of an earlier run, to add to them, and gives it other settings in some sections."""
        link_folder(earlier.path, self.path)
        results = self.read_json(RESULTS, ("config",))
        results["config"] |= {name: section.model_dump(mode="json") for name, section in sections.items()}
        (self.path / RESULTS).unlink()  # it is the earlier run's file too
        self.write_json(RESULTS, results)

    def read(self) -> SavedRun:
        """Returns the run.

        Raises:
            DataError: If it is damaged.
        """
        from tfadt.experiments.saved import SavedRun

        return SavedRun.open(self.path)

    def summary(self) -> dict[str, Any]:
        """Returns which model it is of."""
        row = self.read_json(RESULTS, ("runs",))["runs"][-1]
        return {key: row[key] for key in ("model", "policy", "plan", "seed")}
