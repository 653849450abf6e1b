from __future__ import annotations

from pathlib import Path

import pytest
from serving_cases import MODELS, small_config

from tfadt.experiments.saved import SavedRun
from tfadt.serving.export.exporter import export_run


@pytest.fixture(scope="session")
def saved_run(tmp_path_factory: pytest.TempPathFactory) -> SavedRun:
    """A finished run of every model, on small simulated data."""
    from tfadt.experiments.experiment import run_experiment
    from tfadt.experiments.report import write_report

    out = tmp_path_factory.mktemp("serving") / "run"
    config = small_config()
    data, runs = run_experiment(config, out)
    write_report(config, data, runs, out)
    return SavedRun.open(out)


@pytest.fixture(scope="session")
def exports(saved_run: SavedRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Version 1 of every model. Not to be changed: `copy_export` gives a test one of its own."""
    out = tmp_path_factory.mktemp("saved_models")
    return {model: export_run(saved_run, out, f"{model}-t_ce-0") for model in MODELS}
