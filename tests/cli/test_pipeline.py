"""`tfadt pipeline` as a user types it, on steps that need no training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner, Result

from tfadt.cli.main import app
from tfadt.errors import ConfigError, DataError, TfadtError

SMALL = (
    "--set=ingest.simulated.users=60",
    "--set=ingest.simulated.items=30",
    "--set=ingest.simulated.interactions=900",
)
VERBS = ("run", "show", "status", "lineage", "clean", "compile")


def invoke(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["pipeline", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit | TfadtError):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text('[adt]\nmodels = ["gmf"]\npolicies = ["t_ce"]\n[validate_data]\nmin_users = 50\n')
    return path


@pytest.fixture(scope="module")
def store(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "store"
    result = invoke("run", config, *SMALL, "--until", "validate_data", "--out", folder)
    assert result.exit_code == 0
    return folder


def test_run_tells_of_every_step_and_of_nothing_to_do(config: Path, store: Path) -> None:
    arguments = ("run", config, *SMALL, "--until", "validate_data", "--out", store)
    result = invoke(*arguments)
    assert "ingest: unchanged\n" in result.stdout
    assert f"0 of 2 steps executed; their artifacts lie in {store / 'artifacts'}." in result.stdout
    again = invoke(*arguments, "--set=validate_data.min_users=40", "--quiet")
    assert again.stdout.startswith("step ")
    assert "1 of 2 steps executed" in again.stdout
    assert invoke(*arguments).exit_code == 0


def test_a_log_after_a_trial_on_the_simulation_is_not_held_against_it(config: Path, tmp_path: Path) -> None:
    rows = [f"user{user},item{(user + step) % 40}\n" for user in range(60) for step in range(10)]
    (tmp_path / "clicks.csv").write_text("user_id,item_id\n" + "".join(rows))
    until = ("--until", "validate_data", "--out", tmp_path / "store")
    assert invoke("run", config, *SMALL, *until).exit_code == 0
    result = invoke("run", config, "--data", tmp_path / "clicks.csv", "--set=ingest.split.method=random", *until)
    assert result.exit_code == 0
    assert "2 of 2 steps executed" in result.stdout
    assert "rows in: 600\n" in result.stdout


def test_status_with_the_file_says_what_would_run_and_why(config: Path, store: Path) -> None:
    lines = invoke("status", config, *SMALL, "--set=validate_data.min_users=30", "--out", store).stdout.splitlines()
    states = {line.split()[0]: " ".join(line.split()[1:]) for line in lines[2:]}
    assert lines[0] == "small:"
    assert states["ingest"].startswith("complete")
    assert states["validate_data"].startswith("to run settings.min_users: 50 -> 30")
    assert states["adt"].startswith("to run not run yet")


def test_status_without_a_file_shows_each_pipeline_as_it_last_ran(store: Path) -> None:
    lines = invoke("status", "--out", store).stdout.splitlines()
    assert lines[0] == "small:"
    assert lines[3].split()[:2] == ["validate_data", "complete"]


def test_show_prints_and_draws_the_graph(config: Path, tmp_path: Path) -> None:
    result = invoke("show", config, "--picture", tmp_path / "graph.svg")
    lines = result.stdout.splitlines()
    made = ["interactions", "(Interactions),", "extra_feedback", "(ExtraFeedback)"]
    assert lines[0].split() == ["ingest", "->", *made]
    assert [line.split()[0] for line in lines[:4]] == ["ingest", "validate_data", "adt", "evaluate"]
    ElementTree.parse(tmp_path / "graph.svg")


def test_lineage_of_an_artifact(store: Path) -> None:
    (folder,) = (store / "artifacts").glob("ingest-*/interactions")
    text = invoke("lineage", folder).stdout
    assert text.startswith(f"ingest: {folder.parent.name}\n")
    assert '"users": 60' in text
    records = json.loads(invoke("lineage", folder / "manifest.json", "--json").stdout)
    assert list(records["executions"]) == [folder.parent.name]


def test_clean_tells_and_removes(config: Path, store: Path) -> None:
    arguments = ("run", config, *SMALL, "--until", "validate_data", "--out", store)
    invoke(*arguments, "--set=validate_data.min_users=20")
    invoke(*arguments)
    count = len(list((store / "artifacts").iterdir()))
    assert "would be removed" in invoke("clean", "--out", store, "--dry-run").stdout
    assert len(list((store / "artifacts").iterdir())) == count
    assert "2 complete steps stay" in invoke("clean", "--out", store).stdout
    assert len(list((store / "artifacts").iterdir())) == 2


def test_compile_writes_what_kubeflow_takes(config: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    assert "to run in the image tfadt:" in invoke("compile", config, "--set=push.to=gs://models", "--out", path).stdout
    assert yaml.safe_load(path.read_text())["pipelineInfo"]["name"] == "small"


def test_every_verb_has_help_with_an_example() -> None:
    for verb in VERBS:
        result = invoke(verb, "--help")
        assert result.exit_code == 0
        assert f"Example: tfadt pipeline {verb}" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["run"], ConfigError, "Expected one of adt.models. Received: gmf, neumf, cdae, ease, ials."),
        (
            ["run", "--model", "gmf", "--policy", "t_ce", "--until", "adtt"],
            ConfigError,
            "has no step 'adtt'. Did you mean 'adt'?",
        ),
        (["run", "--model", "gmf", "--policy", "t_ce", "--set=adt.epoch=3"], ConfigError, "Unknown setting 'adt.epoch'."),
        (
            ["run", "--model", "gmf", "--policy", "t_ce", "--data", "nowhere.csv", "--out", "store"],
            DataError,
            "nowhere.csv does not exist.",
        ),
        (["show", "--model", "gmf", "--policy", "t_ce", "--picture", "a.png"], ConfigError, "--picture must end in .svg"),
        (["status", "--out", "nowhere"], DataError, "nowhere is not the folder of a pipeline"),
        (["clean", "--out", "nowhere"], DataError, "nowhere is not the folder of a pipeline"),
        (["lineage", "nowhere"], DataError, "nowhere is no artifact of a pipeline"),
        (["compile", "--model", "gmf", "--policy", "t_ce", "--out", "a.yaml"], ConfigError, "Expected for push.to"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    arguments: list[str], error: type[TfadtError], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_anomalies_stop_it_with_one_line_and_exit_code_2(config: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tfadt.cli.main", "pipeline", "run", str(config), *SMALL]
    command += ["--set=validate_data.min_users=1000", "--until=validate_data", "--out", str(tmp_path / "store")]
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("Error: Step 'validate_data' failed: The data have an anomaly")
    assert "There are few users: expected at least 1,000, received 60." in line
    assert f"Log: {tmp_path / 'store' / 'logs'}" in line
