"""The training pipeline on small simulated data: from raw data to a verified, pushed SavedModel."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_pipeline_cases import SMALL, content, settings

from tfadt.components.artifacts.drift_report import DriftReport
from tfadt.components.artifacts.evaluation import Evaluation
from tfadt.components.artifacts.model import Model
from tfadt.components.push import push
from tfadt.config.loading import load_config
from tfadt.config.pipeline import KubeflowConfig
from tfadt.errors import DataError
from tfadt.experiments.experiment import evaluate_again, run_experiment
from tfadt.experiments.saved import SavedRun
from tfadt.pipelines.kubeflow import compile_pipeline
from tfadt.pipelines.lineage import trace
from tfadt.pipelines.local_runner import StepResult, run
from tfadt.pipelines.planning import status
from tfadt.pipelines.store import Store
from tfadt.pipelines.tune import pipeline_from_config
from tfadt.serving.verification.verify import read_blessing

SOAK = "TFADT_SOAK_KILLS" in os.environ
"""Whether `make soak` runs, which does more of what takes long."""


def executed(results: dict[str, StepResult]) -> list[str]:
    return [name for name, result in results.items() if result.executed]


class Ran:
    """A store with one complete run, and where it pushed to."""

    def __init__(self, folder: Path):
        self.store, self.served = folder / "store", folder / "served"
        self.results = self.run()

    def run(self, *more: str) -> dict[str, StepResult]:
        config = settings(self.served, *more)
        return run(pipeline_from_config("small", config), self.store)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(tmp_path_factory.mktemp("pipeline"))


def test_it_goes_from_raw_data_to_a_pushed_version(ran: Ran) -> None:
    assert executed(ran.results) == [
        "ingest",
        "validate_data",
        "warmup",
        "adt",
        "finetune",
        "evaluate",
        "collide",
        "export",
        "verify",
        "push",
    ]
    pushed = json.loads((ran.results["push"].outputs["pushed"] / "pushed.json").read_text())
    assert pushed["pushed"]
    assert (Path(pushed["place"]) / "saved_model.pb").is_file()
    assert Path(pushed["place"]).parent == ran.served / "gmf"
    blessing = json.loads(Path(f"{pushed['place']}.blessing.json").read_text())
    assert blessing["blessed"]
    assert {check["name"]: check["ok"] for check in blessing["checks"]}["quality"] is True
    exported = ran.results["export"].record.outputs["saved_model"].summary
    assert "recommend_colliding" in exported["signatures"]


def test_the_lineage_of_the_pushed_version_goes_back_to_the_data(ran: Ran) -> None:
    place = json.loads((ran.results["push"].outputs["pushed"] / "pushed.json").read_text())["place"]
    found = trace(Path(place))
    assert found.root == ran.results["export"].record.identity.execution
    steps = {record.step for record in found.records.values()}
    assert steps == {"ingest", "warmup", "adt", "finetune", "evaluate", "collide", "export"}


def test_the_librarys_verbs_read_the_run_of_a_pipeline(ran: Ran) -> None:
    saved = SavedRun.open(ran.results["collide"].outputs["collided"])
    assert saved.names == ["gmf-t_ce-warmup+adt+finetune-0"]
    assert saved.config.collide.enabled
    assert saved.config.adt.plans == ("warmup+adt+finetune",)
    assert saved.config.ingest.split == settings(ran.served, "ingest.split.seed=0").ingest.split
    assert saved.load_model(saved.names[0]).num_users == saved.data.num_users
    assert saved.data.extra_feedback is not None


def test_its_metrics_are_those_of_tfadt_run(ran: Ran, tmp_path: Path) -> None:
    _, runs = run_experiment(settings(ran.served), tmp_path / "run")
    popular, trained = runs
    evaluation = Evaluation.open(ran.results["evaluate"].outputs["evaluation"])
    assert evaluation.metrics() == trained.evaluation.metrics
    assert evaluation.read_json("metrics.json")["baseline"] == popular.evaluation.metrics
    assert evaluation.per_user().equals(trained.evaluation.per_user)
    model = Model.open(ran.results["finetune"].outputs["model"])
    assert model.record().best_step == trained.best_step
    assert model.record().selection_score == trained.selection_score


def test_unchanged_it_runs_nothing_and_imports_no_tensorflow(ran: Ran) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tfadt.config.loading import load_config\n"
        "from tfadt.pipelines.tune import pipeline_from_config\n"
        "from tfadt.pipelines.local_runner import run\n"
        "config = load_config(None, sys.argv[2:])\n"
        "results = run(pipeline_from_config('small', config), Path(sys.argv[1]))\n"
        "print([n for n, r in results.items() if r.executed], sorted({'tensorflow', 'keras'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", program, str(ran.store), *SMALL, f"push.to={ran.served}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"


def test_a_pushed_version_that_was_removed_is_pushed_again(ran: Ran) -> None:
    results = ran.run()
    place = Path(json.loads((results["push"].outputs["pushed"] / "pushed.json").read_text())["place"])
    shutil.rmtree(place.parent)
    assert executed(ran.run()) == ["push"]
    assert (place / "saved_model.pb").is_file()


def test_where_a_newer_version_would_be_served_its_own_is_pushed_again(ran: Ran) -> None:
    place = Path(json.loads((ran.run()["push"].outputs["pushed"] / "pushed.json").read_text())["place"])
    other = place.with_name(str(int(place.name) + 10))
    shutil.copytree(place, other)
    (other / "assets.extra" / "tfadt.json").write_text("{}")  # of another model
    results = ran.run("push.keep=1")
    assert executed(results) == ["push"]
    pushed = Path(json.loads((results["push"].outputs["pushed"] / "pushed.json").read_text())["place"])
    assert int(pushed.name) > int(other.name)
    assert [path.name for path in pushed.parent.glob("[0-9]*") if path.is_dir()] == [pushed.name]
    assert read_blessing(pushed)["blessed"]
    assert trace(pushed).root == ran.results["export"].record.identity.execution
    assert executed(ran.run("push.keep=1")) == []
    # With other settings of the push it is the newest there already.
    assert executed(ran.run()) == ["push"]
    assert [path.name for path in pushed.parent.glob("[0-9]*") if path.is_dir()] == [pushed.name]


def test_a_model_that_is_not_blessed_is_not_pushed(ran: Ran, tmp_path: Path) -> None:
    outputs = {name: folder for result in ran.results.values() for name, folder in result.outputs.items()}
    shutil.copytree(outputs["evaluation"], tmp_path / "evaluation")
    Evaluation(tmp_path / "evaluation").write_json("blessing.json", {"blessed": False, "reason": "It is worse."})
    inputs = {"run": outputs["run"], "verified": outputs["verified"], "evaluation": tmp_path / "evaluation"}
    before = sorted(ran.served.rglob("*"))
    made = push.execute(inputs, {"pushed": tmp_path / "pushed"}, {"settings": settings(ran.served).push}, tmp_path)
    assert made["pushed"].summary() == {"pushed": False, "place": None, "reason": "It is worse."}
    assert made["pushed"].is_current()
    assert sorted(ran.served.rglob("*")) == before


def test_a_model_of_a_log_that_drifted_is_not_pushed(ran: Ran, tmp_path: Path) -> None:
    outputs = {name: folder for result in ran.results.values() for name, folder in result.outputs.items()}
    DriftReport(tmp_path / "drift").write(None, False, "It drifted.")
    inputs = {name: outputs[name] for name in ("run", "verified", "evaluation")} | {"drift": tmp_path / "drift"}
    before = sorted(ran.served.rglob("*"))
    made = push.execute(inputs, {"pushed": tmp_path / "pushed"}, {"settings": settings(ran.served).push}, tmp_path)
    assert made["pushed"].summary() == {"pushed": False, "place": None, "reason": "It drifted."}
    assert sorted(ran.served.rglob("*")) == before


@pytest.mark.parametrize(
    ("override", "steps"),
    [
        ("adt.policies=r_ce", ["adt"]),
        ("adt.learning_rate=0.002", ["adt"]),
        ("finetune.learning_rate=0.002", ["finetune"]),
        ("warmup.learning_rate=0.002", ["warmup", "adt"]),
        ("adt.batch_size=512", ["warmup", "adt"]),
        ("collide.ratios=0.2", ["collide", "export", "verify", "push"]),
        ("export.k=12", ["export", "verify", "push"]),
        ("push.keep=3", ["push"]),
        ("policy.r_ce.beta=0.3", []),
        ("model.neumf.embedding_dim=4", []),
        ("evaluate.k=5,7,10", ["evaluate", "collide", "export", "verify", "push"]),
        ("validate_data.min_users=3", ["validate_data"]),
        ("ingest.split.seed=1", ["ingest", "validate_data", "warmup", "adt"]),
    ],
)
def test_a_setting_runs_the_steps_that_it_decides_again(override: str, steps: list[str], ran: Ran) -> None:
    pipeline = pipeline_from_config("small", settings(ran.served, override))
    found = [each.step for each in status(pipeline, Store(ran.store)) if each.state != "complete"]
    # After training comes all the rest.
    rest = {name: list(pipeline.steps)[list(pipeline.steps).index(name) + 1 :] for name in ("adt", "finetune")}
    assert found == [*steps, *rest.get(steps[-1] if steps else "", [])]


def test_plain_training_as_the_baseline(ran: Ran) -> None:
    config = settings(ran.served, "evaluate.blessing.baseline=standard")
    pipeline = pipeline_from_config("small", config).until("evaluate")
    results = run(pipeline, ran.store)
    assert executed(results) == ["adt_plain", "evaluate"]
    assert Model.open(results["adt_plain"].outputs["model"]).record().policy == "standard"
    blessing = Evaluation.open(results["evaluate"].outputs["evaluation"]).blessing()
    assert blessing["baseline"] == "standard"
    assert blessing["test"]["users"] > 0
    # The run tells of both, yet what is served, listed or ranked again is the one model in the folder.
    folder = results["evaluate"].outputs["run"]
    saved = SavedRun.open(folder)
    assert len(saved.runs) == 3
    assert saved.names == [saved.best()] == [saved.runs[-1].name]
    assert [row.model for row in evaluate_again(folder)[1]] == ["popular", "gmf"]
    with pytest.raises(DataError, match="has no model 'gmf-standard-"):
        saved.load_model(saved.runs[1].name)


def test_a_search_first_and_then_training_with_what_it_found(ran: Ran, tmp_path: Path) -> None:
    search = ("pipeline.search=true", "tune.trials=1", "tune.over=training", "tune.space.model.gmf.embedding_dim=4,6")
    config = settings(ran.served, *search, "evaluate.blessing.baseline=standard")
    results = run(pipeline_from_config("search", config).until("collide"), ran.store)
    # What the training pipeline has made of the same data is taken from there.
    assert executed(results) == ["tune", "warmup", "adt", "finetune", "adt_plain", "evaluate", "collide"]
    found = results["tune"].outputs["hyperparameters"]
    best = json.loads((found / "hyperparameters.json").read_text())["best"]
    models = {name: Model.open(results[name].outputs["model"]) for name in ("adt", "finetune", "adt_plain")}
    for model in models.values():
        used = model.used_settings()
        assert used["adt"]["learning_rate"] == best["settings"]["adt.learning_rate"]
        assert used["model"]["gmf"]["embedding_dim"] == best["settings"]["model.gmf.embedding_dim"]
    assert models["adt"].record().selection_score == best["run"]["selection_score"]
    # The baseline is as well tuned; it differs in the policy alone.
    assert models["adt_plain"].record().policy == "standard"
    # The finetuned model is another than the search's: lambda and |N| are chosen for it anew.
    assert SavedRun.open(results["collide"].outputs["collided"]).config.collide == config.collide
    # What the search leaves stands by itself: it names no folder of the search, which is gone.
    assert not [path for path in found.glob("*.*") if str(ran.store) in path.read_text()]
    data = results["evaluate"].outputs["run"] / "data"
    again = load_config(found / "best.toml", [f"ingest.data={data}", "finetune.epochs=2"])  # what a search does not know
    _, runs = run_experiment(again, tmp_path / "run")
    assert runs[-1].selection_score == models["finetune"].record().selection_score


@pytest.mark.skipif(not SOAK, reason="a process for each step, which imports TensorFlow: make soak")
def test_executed_by_kubeflow_the_metrics_are_the_same(ran: Ran, tmp_path: Path) -> None:
    from kfp import components, local

    pipeline = pipeline_from_config("small", settings(ran.served))
    compile_pipeline(pipeline, tmp_path / "small.yaml", KubeflowConfig(image="python:3.11"))
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))
    components.load_component_from_file(str(tmp_path / "small.yaml"))()
    (root,) = (tmp_path / "root").glob("small-*")
    results = run(pipeline, ran.store)
    ours = Evaluation.open(results["evaluate"].outputs["evaluation"])
    theirs = Evaluation.open(root / "evaluate" / "evaluation")
    assert theirs.metrics() == ours.metrics()
    assert theirs.blessing() == ours.blessing()
    folders = (root / "collide" / "collided", results["collide"].outputs["collided"])
    tables = [next((folder / "collide").glob("*.json")) for folder in folders]
    assert tables[0].read_text() == tables[1].read_text()
    pushed = json.loads((root / "push" / "pushed" / "pushed.json").read_text())
    assert read_blessing(Path(pushed["place"]))["blessed"]


def test_killed_at_random_moments_it_ends_with_the_same_artifacts(ran: Ran, tmp_path: Path) -> None:
    until = "push" if SOAK else "adt"
    steps = list(pipeline_from_config("small", settings(ran.served)).until(until).steps)
    whole = ran.run()
    reference = {name: whole[name] for name in steps}
    store = tmp_path / "store"
    config = tmp_path / "small.toml"
    config.write_text("")
    sets = [f"--set={text}" for text in (*SMALL, f"push.to={ran.served}")]
    # Of the same name and with the same settings, so that every step is the same execution.
    command = [sys.executable, "-m", "tfadt.cli.main", "pipeline", "run", str(config), *sets, "--out", str(store)]
    command += ["--until", until]
    chance = random.Random(int(os.environ.get("TFADT_SOAK_SEED", "0")))
    killed = sorted(chance.choices(steps, k=int(os.environ["TFADT_SOAK_KILLS"])), key=steps.index) if SOAK else ["adt"]
    # Somewhere within a second of the beginning of a step, so that a run is never over before it is killed.
    for step in killed:
        sentence = f"{step}: running\n"
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            assert process.stdout is not None
            if any(line == sentence for line in process.stdout):
                time.sleep(chance.uniform(0.0, 1.0))
                os.killpg(process.pid, signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (store / "artifacts").iterdir()} == {
        r.record.identity.execution for r in reference.values()
    }
    for result in reference.values():
        for name, folder in result.outputs.items():
            assert content(store / "artifacts" / folder.parent.name / name) == content(folder), name
    assert list((store / "partial").iterdir()) == []
