"""The pipeline compiled for Kubeflow, and small ones executed for real by Kubeflow's own local runner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline_cases import Number, add, compared, constant, limited

from tfadt._version import __version__
from tfadt.components.ingest import ingest
from tfadt.config import Config, IngestConfig
from tfadt.config.loading import load_config
from tfadt.config.pipeline import KubeflowConfig
from tfadt.errors import ConfigError
from tfadt.pipelines.adt import adt_pipeline
from tfadt.pipelines.kubeflow import check_places, compile_pipeline, kubeflow_pipeline, step_source
from tfadt.pipelines.kubeflow_step import run_step, run_worker
from tfadt.pipelines.local_runner import run
from tfadt.pipelines.pipeline import Pipeline
from tfadt.pipelines.tune import tune_pipeline


def compiled(pipeline: Pipeline, folder: Path, **settings: Any) -> dict[str, Any]:
    path = folder / "pipeline.yaml"
    compile_pipeline(pipeline, path, KubeflowConfig(**settings))
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    config = load_config(
        None, ["adt.models=gmf", "adt.policies=t_ce", "evaluate.blessing.baseline=standard", "evaluate.k=20"]
    )
    settings = {"image": "registry/tfadt:1", "accelerators": 2, "memory": "8G", "cpu": "4"}
    return compiled(adt_pipeline("gmf.T-CE", config), tmp_path_factory.mktemp("kubeflow"), **settings)


def test_every_step_is_a_task_after_those_it_needs(training: dict[str, Any]) -> None:
    tasks = training["root"]["dag"]["tasks"]
    assert training["pipelineInfo"]["name"] == "gmf-t-ce"
    assert {name: sorted(task.get("dependentTasks", [])) for name, task in tasks.items()}.items() >= {
        "ingest": [],
        "validate-data": ["ingest"],
        "adt": ["ingest", "validate-data"],
        "adt-plain": ["ingest", "validate-data"],
        "evaluate": ["adt", "adt-plain", "ingest"],
    }.items()
    # A linear graph: nothing is conditional, nothing loops.
    assert not any("triggerPolicy" in task or "parameterIterator" in task for task in tasks.values())


def test_artifacts_are_typed(training: dict[str, Any]) -> None:
    outputs = {
        name: {key: spec["artifactType"]["schemaTitle"] for key, spec in part["outputDefinitions"]["artifacts"].items()}
        for name, part in training["components"].items()
    }
    assert outputs["comp-ingest"] == {"interactions": "system.Interactions", "extra_feedback": "system.ExtraFeedback"}
    assert outputs["comp-adt"] == {"model": "system.Model"}
    assert outputs["comp-evaluate"] == {"evaluation": "system.Metrics", "run": "system.TrainedRun"}
    inputs = training["components"]["comp-evaluate"]["inputDefinitions"]["artifacts"]
    assert inputs["plain"]["artifactType"]["schemaTitle"] == "system.Model"


def test_nothing_is_installed_and_the_code_is_a_few_lines_in_the_given_image(training: dict[str, Any]) -> None:
    for executor in training["deploymentSpec"]["executors"].values():
        container = executor["container"]
        assert container["image"] == "registry/tfadt:1"
        code = container["command"][-1]
        assert "pip install" not in " ".join(container["command"])
        assert "from tfadt.pipelines.kubeflow_step import run_step" in code
        assert len(code.strip().splitlines()) < 25


def test_retries_caching_resources_and_version(training: dict[str, Any]) -> None:
    tasks = training["root"]["dag"]["tasks"]
    assert all(task["cachingOptions"] == {"enableCache": True} for name, task in tasks.items() if name != "push")
    assert tasks["adt"]["retryPolicy"]["maxRetryCount"] == 2
    assert "retryPolicy" not in tasks["validate-data"]  # anomalies do not go away
    executors = training["deploymentSpec"]["executors"]
    accelerator = executors["exec-adt"]["container"]["resources"]["accelerator"]
    assert (accelerator["resourceType"], accelerator["resourceCount"]) == ("nvidia.com/gpu", "2")
    assert "accelerator" not in executors["exec-ingest"]["container"]["resources"]
    assert executors["exec-ingest"]["container"]["resources"]["resourceMemoryLimit"] == "8G"
    parameters = training["root"]["inputDefinitions"]["parameters"]
    assert parameters["tfadt_version"]["defaultValue"] == __version__
    assert parameters["validate_data_previous"]["defaultValue"] == ""
    for task in tasks.values():
        assert task["inputs"]["parameters"]["tfadt_version"] == {"componentInputParameter": "tfadt_version"}


def test_a_step_has_its_own_resources_and_what_is_given_to_all(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    settings = {
        "cpu": "2",
        "accelerators": 1,
        "resources": {"adt": {"cpu": "8", "memory": "32G", "accelerators": 4}, "ingest": {"memory": "64G"}},
        "environment": {"TF_NUM_INTRAOP_THREADS": 8},
        "secrets": {"object-store": {"key": "AWS_ACCESS_KEY_ID"}},
        "volumes": {"clicks": "/data"},
        "retries": 5,
    }
    config = load_config(None, ["adt.models=gmf", "adt.policies=t_ce", "pipeline.daily=true"], {"kubeflow": settings})
    compile_pipeline(adt_pipeline("gmf", config), path, config.kubeflow)
    graph, platform = yaml.safe_load_all(path.read_text())
    executors = {name: each["container"] for name, each in graph["deploymentSpec"]["executors"].items()}
    adt, ingest, evaluate = (executors[f"exec-{name}"]["resources"] for name in ("adt", "ingest", "evaluate"))
    assert (adt["resourceCpuLimit"], adt["resourceMemoryLimit"]) == ("8", "32G")
    assert adt["accelerator"]["resourceCount"] == "4"
    assert (ingest["resourceCpuLimit"], ingest["resourceMemoryLimit"]) == ("2", "64G")
    assert "accelerator" not in ingest
    assert evaluate["accelerator"]["resourceCount"] == "1"
    assert all({"name": "TF_NUM_INTRAOP_THREADS", "value": "8"} in each["env"] for each in executors.values())
    assert graph["root"]["dag"]["tasks"]["validate-data"]["retryPolicy"]["maxRetryCount"] == 5
    # The run of the day before is a parameter, and what the drift says is an input of the push.
    assert graph["root"]["inputDefinitions"]["parameters"]["earlier_pushed"]["defaultValue"] == ""
    assert "drift" in graph["root"]["dag"]["tasks"]["push"]["dependentTasks"]
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(pods) == set(graph["deploymentSpec"]["executors"])
    for pod in pods.values():
        assert pod["pvcMount"][0]["mountPath"] == "/data"
        assert pod["secretAsEnv"][0]["keyToEnv"] == [{"envVar": "AWS_ACCESS_KEY_ID", "secretKey": "key"}]


def test_resources_of_no_step_and_a_volume_without_a_place_are_refused(tmp_path: Path) -> None:
    config = load_config(None, ["adt.models=gmf", "adt.policies=t_ce", "kubeflow.resources.atd.cpu=4"])
    with pytest.raises(ConfigError, match=r"'kubeflow.resources.atd': there is no such step. Did you mean 'adt'"):
        compile_pipeline(adt_pipeline("gmf", config), tmp_path / "p.yaml", config.kubeflow)
    with pytest.raises(ConfigError, match=r"volume 'clicks' is mounted at an absolute path\. Received: 'data'"):
        load_config(None, ["kubeflow.volumes.clicks=data"])


def test_trials_in_parallel_are_made_by_workers_that_meet_their_chief_on_the_volume(tmp_path: Path) -> None:
    settings = {
        "trials_in_parallel": 2,
        "volumes": {"searches": "/searches", "clicks": "/data"},
        "resources": {"tune": {"cpu": "8", "accelerators": 1}},
    }
    config = load_config(None, ["adt.models=gmf", "adt.policies=t_ce", "pipeline.search=true"], {"kubeflow": settings})
    compile_pipeline(tune_pipeline("gmf", config), tmp_path / "p.yaml", config.kubeflow)
    graph, platform = yaml.safe_load_all((tmp_path / "p.yaml").read_text())
    tasks, executors = graph["root"]["dag"]["tasks"], graph["deploymentSpec"]["executors"]
    workers = ["tune-worker", "tune-worker-2"]
    assert [name for name in tasks if name.startswith("tune")] == ["tune", *workers]
    for name in ("tune", *workers):
        assert sorted(tasks[name]["dependentTasks"]) == ["ingest", "validate-data"]
        # Each run has a folder of its own, by Kubeflow's placeholder, which stands alone or is not filled in.
        assert tasks[name]["inputs"]["parameters"]["run_id"]["runtimeValue"]["constant"] == "{{$.pipeline_job_uuid}}"
        assert "'/searches/tfadt-tune'" in executors[f"exec-{name}"]["container"]["command"][-1]
        assert not tasks[name]["cachingOptions"].get("enableCache", False)
    # What was found is the chief's.
    assert tasks["adt"]["dependentTasks"] == ["ingest", "tune", "validate-data"]
    assert all("outputDefinitions" not in graph["components"][f"comp-{name}"] for name in workers)
    chief, worker = (executors[f"exec-{name}"]["container"] for name in ("tune", "tune-worker"))
    assert {each["name"]: each["value"] for each in chief["env"]} == {
        "KERASTUNER_TUNER_ID": "chief",
        "KERASTUNER_ORACLE_PORT": "8000",
    }
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods["exec-tune"]["fieldPathAsEnv"] == [{"name": "KERASTUNER_ORACLE_IP", "fieldPath": "status.podIP"}]
    assert "env" not in worker
    assert "accelerator" not in chief["resources"]
    assert worker["resources"]["accelerator"]["resourceCount"] == "1"
    assert chief["resources"]["resourceCpuLimit"] == worker["resources"]["resourceCpuLimit"] == "8"


def test_trials_in_parallel_need_a_volume_a_search_and_the_id_of_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"kubeflow\.trials_in_parallel above 1 needs a volume .*Received: 3 without"):
        load_config(None, ["kubeflow.trials_in_parallel=3"])
    kubeflow = ["kubeflow.trials_in_parallel=3", "kubeflow.volumes.searches=/searches"]
    config = load_config(None, ["adt.models=gmf", "adt.policies=t_ce", *kubeflow])
    with pytest.raises(ConfigError, match=r"trials_in_parallel': this pipeline has no search\. .* Received: 3\."):
        compile_pipeline(adt_pipeline("gmf", config), tmp_path / "p.yaml", config.kubeflow)
    with pytest.raises(ConfigError, match=r"does not tell a step the id of its run.* Received: '\{\{.*\}\}'\."):
        run_worker(__version__, str(tmp_path), "{{$.pipeline_job_uuid}}")


def test_the_settings_arrive_as_they_are(training: dict[str, Any]) -> None:
    given = training["root"]["dag"]["tasks"]["adt"]["inputs"]["parameters"]["settings"]["runtimeValue"]["constant"]
    settings = Config.model_validate_json(given, strict=True)
    assert settings.adt.policies == ("t_ce",)
    assert settings.evaluate.k == (20,)


def test_new_files_at_the_same_place_make_new_cache_keys(tmp_path: Path) -> None:
    file = tmp_path / "number.txt"
    versions = []
    for text in ("1", "2"):
        file.write_text(text)
        content = compiled(Pipeline("p", [constant(file=str(file))]), tmp_path)
        versions.append(content["root"]["inputDefinitions"]["parameters"]["data_version"]["defaultValue"])
    assert len(set(versions)) == 2
    assert all(versions)
    file.unlink()
    for step in (constant(file=str(file)), ingest(settings=IngestConfig(data=(file.with_suffix(".csv"),)))):
        content = compiled(Pipeline("p", [step]), tmp_path)
        assert content["root"]["inputDefinitions"]["parameters"]["data_version"]["defaultValue"] == ""


def test_the_code_of_a_step() -> None:
    assert step_source(compared(a=constant()["number"]), "compared") == (
        "def compared(a: Input[Artifact], number: Output[Artifact], previous: str, tfadt_version: str, data_version: str):\n"
        "    from tfadt.pipelines.kubeflow_step import run_step\n"
        "    run_step(\n"
        "        'pipeline_cases:compared',\n"
        "        tfadt_version,\n"
        "        parameters={},\n"
        "        inputs={'a': a.path},\n"
        "        outputs={'number': number},\n"
        "        previous={'previous': previous},\n"
        "    )\n"
    )


def toy() -> Pipeline:
    one = constant.step("one", value=1.5)
    two = constant.step("two-b", value=2.0).after(one)
    total = add.step("total", a=one["number"], b=two["number"], plus=0.25)
    return Pipeline("toy", [one, two, total, compared(a=total["number"])])


def test_executed_by_kubeflow_it_gives_what_the_local_runner_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kfp import components, local

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    compile_pipeline(toy(), tmp_path / "toy.yaml", KubeflowConfig(image="python:3.11"))
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))
    components.load_component_from_file(str(tmp_path / "toy.yaml"))()
    results = run(toy(), tmp_path / "store")
    (root,) = (tmp_path / "root").glob("toy-*")
    for name, result in results.items():
        folder = root / name.replace("_", "-") / "number"
        assert Number.open(folder).read() == Number.open(result.outputs["number"]).read()
    output = json.loads((root / "total" / "executor_output.json").read_text())
    assert output["artifacts"]["number"]["artifacts"][0]["metadata"] == {"value": 3.75}


def test_another_version_in_the_container_is_refused() -> None:
    with pytest.raises(ConfigError, match=rf"Expected 9\.9\.9\. Received: {__version__}\."):
        run_step("pipeline_cases:constant", "9.9.9", {}, {}, {}, {})


def test_a_wrong_parameter_is_refused_in_the_container() -> None:
    with pytest.raises(ConfigError, match="Component 'limited': the parameter 'limit' is wrong"):
        run_step("pipeline_cases:limited", __version__, {"limit": '"x"'}, {}, {}, {})
    assert limited.name == "limited"


def test_names_that_kubeflow_takes_for_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Two steps have one name on Kubeflow. Received: a-b, a.b\."):
        kubeflow_pipeline(Pipeline("p", [constant.step("a-b"), constant.step("a.b")]), KubeflowConfig())
    with pytest.raises(ConfigError, match=r"must end in \.yaml"):
        compile_pipeline(Pipeline("p", [constant()]), tmp_path / "p.txt", KubeflowConfig())


def test_relative_places_are_refused_for_containers() -> None:
    with pytest.raises(ConfigError, match=r"Expected for push.to an absolute path .* Received: 'saved_models'\."):
        check_places(Config())
    with pytest.raises(ConfigError, match=r"Expected for ingest.data an absolute path .* Received: 'clicks.csv'\."):
        check_places(load_config(None, ["ingest.data=clicks.csv", "push.to=gs://models"]))
    check_places(load_config(None, ["ingest.data=/data/clicks.csv", "push.to=/models"]))


def test_limits_are_checked_before_anything_is_compiled() -> None:
    config = load_config(None, ["kubeflow.cpu=4", "kubeflow.memory=1000000000"]).kubeflow
    assert (config.cpu, config.memory) == ("4", "1000000000")
    assert load_config(None, ["kubeflow.cpu=0.5"]).kubeflow.cpu == "0.5"
    for wrong in ("kubeflow.memory=lots", "kubeflow.cpu=four", "kubeflow.cpu=true"):
        with pytest.raises(ConfigError, match=wrong.partition("=")[0]):
            load_config(None, [wrong])


def test_what_tells_of_the_world_outside_is_not_taken_from_the_cache(training: dict[str, Any]) -> None:
    cached = {
        name: task["cachingOptions"].get("enableCache", False) for name, task in training["root"]["dag"]["tasks"].items()
    }
    assert not cached.pop("push")
    assert all(cached.values())
