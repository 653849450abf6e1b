"""A pipeline that goes on from the run that it pushed the day before, and pushes as the drift of the log says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pipeline_cases import publish_run

from tfadt.components.artifacts.drift_report import DriftReport
from tfadt.components.artifacts.earlier_run import EarlierRun
from tfadt.components.artifacts.model import Model
from tfadt.components.drift import drift
from tfadt.config.loading import load_config
from tfadt.errors import ConfigError, DataError
from tfadt.pipelines.local_runner import StepResult, run
from tfadt.pipelines.pipeline import Pipeline
from tfadt.pipelines.tune import pipeline_from_config

SETTINGS = [
    "adt.models=gmf",
    "adt.policies=t_ce",
    "adt.preset=paper",
    "adt.epochs=1",
    "adt.learning_rate=1e-12",  # so that a row is what it was
    "model.gmf.embedding_dim=4",
    "evaluate.k=5",
    "ingest.split.test=0.2",
    "validate_data.on_anomaly=warn",
    "pipeline.daily=true",
]


class Days:
    """A folder of logs, one a day, and a pipeline that serves what it has trained."""

    def __init__(self, folder: Path):
        self.folder = folder
        for n, day in enumerate(("2026-03-02", "2026-03-03")):
            # 20 users and 12 items a day, of which two users and one item leave and as many come.
            pairs = [(2 * n + user, n + (user + 3 * step) % 12) for user in range(20) for step in range(4 + n)]
            (folder / "logs" / day).mkdir(parents=True)
            pd.DataFrame(pairs, columns=["user_id", "item_id"]).to_csv(folder / "logs" / day / "clicks.csv", index=False)

    def run(self, day: str, *more: str) -> dict[str, StepResult]:
        source = [f"ingest.data={self.folder}/logs/{{date}}/*.csv", f"ingest.date={day}"]
        steps = pipeline_from_config("daily", load_config(None, [*SETTINGS, *source, *more])).until("evaluate", "drift")
        served = publish_run(run=steps.steps["evaluate"]["run"], to=str(self.folder / "served"))
        return run(Pipeline("daily", [*steps, served]), self.folder / "store")


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Days:
    return Days(tmp_path_factory.mktemp("daily"))


@pytest.fixture(scope="module")
def monday(days: Days) -> dict[str, StepResult]:
    return days.run("2026-03-02")


@pytest.fixture(scope="module")
def tuesday(days: Days, monday: dict[str, StepResult]) -> dict[str, StepResult]:
    return days.run("2026-03-03")


def report(results: dict[str, StepResult]) -> dict[str, Any]:
    return DriftReport.open(results["drift"].outputs["report"]).summary()


def test_the_first_day_starts_anew_and_is_pushed(monday: dict[str, StepResult]) -> None:
    assert EarlierRun.open(monday["earlier"].outputs["earlier_run"]).file is None
    assert report(monday) == {"push": True, "reason": "There is no earlier run."}


def test_the_next_day_goes_on_from_the_weights_of_the_day_before(
    monday: dict[str, StepResult], tuesday: dict[str, StepResult]
) -> None:
    summary = tuesday["earlier"].record.outputs["earlier_run"].summary
    assert summary["run"] == str(monday["evaluate"].outputs["run"])
    assert summary["carried_over"] == "18 users taken over, 2 new, 2 gone; 11 items taken over, 1 new, 1 gone"
    before, after = (Model.open(day["adt"].outputs["model"]).read() for day in (monday, tuesday))
    rows = after.users.encode(range(2, 20)), before.users.encode(range(2, 20))
    tables = [model.trainable_variables[0].numpy() for model in (after, before)]
    assert tables[0].shape == (20, 4)
    np.testing.assert_allclose(tables[0][rows[0]], tables[1][rows[1]], atol=1e-6)
    found = report(tuesday)
    assert (found["push"], found["new_users"], found["new_items"]) == (True, 2 / 20, 1 / 12)
    assert found["metrics_now"]["recall@5"] >= 0


def test_a_day_again_runs_nothing(days: Days, tuesday: dict[str, StepResult]) -> None:
    assert not any(result.executed for result in days.run("2026-03-03").values())


def decided(tuesday: dict[str, StepResult], folder: Path, *settings: str) -> tuple[bool, str]:
    inputs = {
        "interactions": tuesday["ingest"].outputs["interactions"],
        "earlier_run": tuesday["earlier"].outputs["earlier_run"],
    }
    parameters = {"settings": load_config(None, settings).drift}
    report = drift.execute(inputs, {"report": folder / "report"}, parameters, folder)["report"]
    assert isinstance(report, DriftReport)
    return report.decision()


def test_limits_decide_about_the_push(tuesday: dict[str, StepResult], tmp_path: Path) -> None:
    tight, wide = "drift.limits.new_items=0.05", "drift.limits.new_items=0.1"
    beyond = "Share of items that the model does not know: 0.08333, at most 0.05 is allowed."
    within = "The drift is within its limits."
    assert decided(tuesday, tmp_path / "1", tight) == (False, beyond)
    assert decided(tuesday, tmp_path / "2", tight, "drift.push=beyond") == (True, beyond)
    assert decided(tuesday, tmp_path / "3", wide) == (True, within)
    assert decided(tuesday, tmp_path / "4", wide, "drift.push=beyond") == (False, within)
    with pytest.raises(ConfigError, match="Absolute change of the share of disliked clicks: not known here"):
        decided(tuesday, tmp_path / "5", "drift.limits.false_positives=0.1")


def test_a_run_to_go_on_from_can_be_named(days: Days, monday: dict[str, StepResult], tmp_path: Path) -> None:
    def summary(start: Path) -> dict[str, Any]:
        config = load_config(None, [*SETTINGS, "ingest.simulated.users=50", f"adt.start_from={start}"])
        pipeline = pipeline_from_config("other", config)
        results = run(Pipeline("other", list(pipeline.until("earlier"))), days.folder / "store")
        return results["earlier"].record.outputs["earlier_run"].summary

    folder = monday["evaluate"].outputs["run"]
    assert summary(folder)["run"] == str(folder)
    with pytest.raises(DataError, match=r"Step 'earlier' reads .*/results.json, which does not exist"):
        summary(tmp_path)
