"""A newer log beside a run, with figures derived by hand: the model is the list of the most popular items."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from tfadt.cli.main import app
from tfadt.config.loading import load_config
from tfadt.errors import ConfigError, DataError
from tfadt.experiments.experiment import run_experiment
from tfadt.experiments.report import write_report

# Items by clicks in training: a 4, b 3, c 2, d 1. One click of ten is disliked.
TRAIN = [(1, "a"), (2, "a"), (3, "a"), (4, "a"), (1, "b"), (2, "b"), (3, "b"), (1, "c"), (4, "c"), (2, "d")]
# Users 1 to 3 know a and b, so the list of user 3 begins with c, that of 1 with d, that of 2 with c; that of 4 with b.
NEW = [(1, "d", 5), (2, "c", 5), (3, "d", 5), (4, "b", 1), (4, "e", 5), (5, "a", 5), (1, "a", 5)]


def write(path, rows):
    pd.DataFrame(rows, columns=["user_id", "item_id", "rating"]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drift")
    rated = [(user, item, 1 if (user, item) == (2, "d") else 5) for user, item in TRAIN]
    files = {
        "train": write(folder / "train.csv", rated),
        "valid": write(folder / "valid.csv", [(3, "c", 5)]),
        "test": write(folder / "test.csv", [(3, "d", 5)]),
    }
    ingest = {"simulate": False, **{name: [str(path)] for name, path in files.items()}}
    config = load_config(None, ["adt.models=popular", "adt.policies=standard", "evaluate.k=1"], {"ingest": ingest})
    data, runs = run_experiment(config, folder / "run")
    write_report(config, data, runs, folder / "run")
    return folder / "run"


def drift(run, log, *options):
    return CliRunner().invoke(app, ["drift", str(run), "--data", str(log), *options])


def test_new_ids_noise_popularity_and_yesterdays_model_today(finished, tmp_path):
    log = write(tmp_path / "today.csv", NEW)
    result = drift(finished, log, "--json", str(tmp_path / "drift.json"))
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "drift.json").read_text())
    assert found["clicks"] == 6  # user 1 has a already
    assert found["seen_before"] == 1
    assert found["new_users"] == 1 / 5
    assert found["new_items"] == 1 / 5
    assert found["clicks_of_new"] == pytest.approx(2 / 6)  # of user 5, and on e
    assert found["false_positives_before"] == pytest.approx(0.1)
    assert found["false_positives_now"] == pytest.approx(1 / 7)
    # Liked new clicks of known users on known items: 1 d (first in the list: hit), 2 c (hit); of user 3, c is in
    # validation, so d is first: hit. User 4's b is disliked.
    assert found["users"] == 4
    assert found["metrics_now"]["recall@1"] == 1.0
    assert found["metrics_before"]["recall@1"] == 1.0
    # Shares of a..e: 4 3 2 1 0 of 10 and 2 1 1 2 1 of 7.
    assert found["popularity"] == pytest.approx(0.13597, abs=1e-5)
    for text in ("6 clicks, besides 1 that the run has.", "users that the model does not know", "20.0%", "recall@1"):
        assert text in result.output


def test_the_rejected_rows_of_the_run_are_left_as_they_are(finished, tmp_path):
    rejected = tmp_path / "rejected.csv"
    files = [f"ingest.{name}={finished.parent / name}.csv" for name in ("train", "valid", "test")]
    settings = ["adt.models=popular", "adt.policies=standard", "evaluate.k=1", f"ingest.rejected={rejected}", *files]
    config = load_config(None, settings, {"ingest": {"simulate": False}})
    data, runs = run_experiment(config, tmp_path / "run")
    write_report(config, data, runs, tmp_path / "run")
    rejected.write_text("what the run wrote")
    assert drift(tmp_path / "run", write(tmp_path / "today.csv", NEW)).exit_code == 0
    assert rejected.read_text() == "what the run wrote"


def test_a_limit_that_is_exceeded_ends_with_1_and_says_what(finished, tmp_path):
    log = write(tmp_path / "today.csv", NEW)
    result = drift(finished, log, "--limit", "new_items=0.1", "--limit", "recall_loss=0", "--limit", "false_positives=0.5")
    assert result.exit_code == 1
    assert "Share of items that the model does not know: 0.2, at most 0.1 is allowed." in result.output
    assert "Relative loss" not in result.output
    assert drift(finished, log, "--limit", "new_items=0.3").exit_code == 0


def test_what_cannot_be_compared_is_refused(finished, tmp_path):
    old = write(tmp_path / "old.csv", [(user, item, 5) for user, item in TRAIN])
    assert "All 10 clicks of the log are ones that" in str(drift(finished, old).exception)
    strange = write(tmp_path / "strange.csv", [(8, "x", 5), (9, "y", 5), (8, "y", 5), (9, "x", 5), (8, "z", 5), (9, "z", 5)])
    assert drift(finished, strange).exit_code == 0  # nothing is ranked
    error = drift(finished, strange, "--limit", "recall_loss=0.1").exception
    assert isinstance(error, ConfigError)
    assert "not known here, since the logs do not tell" in str(error)
    assert isinstance(drift(finished, old).exception, DataError)
