from __future__ import annotations

from pathlib import Path

import pytest
from made_once import made_once
from serving_cases import MODELS, export_config, small_config

from tfadt.experiments.saved import SavedRun
from tfadt.serving.export.exporter import export_run


@pytest.fixture(scope="session")
def saved_run(tmp_path_factory: pytest.TempPathFactory) -> SavedRun:
    """A finished run of every model, on small simulated data."""
    from tfadt.experiments.experiment import run_experiment
    from tfadt.experiments.report import write_report

    def make(folder: Path) -> None:
        config = small_config()
        data, runs = run_experiment(config, folder / "run")
        write_report(config, data, runs, folder / "run")

    return SavedRun.open(made_once(tmp_path_factory, "serving", make) / "run")


@pytest.fixture(scope="session")
def exports(saved_run: SavedRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Version 1 of every model, as `export_config` has it. Not to be changed: `copy_export` gives a test one of its own."""

    def make(folder: Path) -> None:
        for model in MODELS:
            export_run(saved_run, folder, f"{model}-t_ce-0", export_config(model))

    folder = made_once(tmp_path_factory, "saved_models", make)
    return {model: folder / model / "1" for model in MODELS}
