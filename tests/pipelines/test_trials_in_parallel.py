"""The compiled search, each of its tasks a plain process in Kubeflow's own executor, on this machine's loopback address."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from soak import SOAK
from training_pipeline_cases import settings

from tfadt.components.artifacts.hyperparameters import Hyperparameters
from tfadt.config.pipeline import KubeflowConfig
from tfadt.pipelines.kubeflow import compile_pipeline
from tfadt.pipelines.local_runner import run
from tfadt.pipelines.tune import tune_pipeline
from tfadt.tuning.results import Hyperparameters as Found

SEARCH = ("pipeline.search=true", "tune.trials=4", "tune.over=training", "adt.plans=adt", "collide.enabled=false")


class Cluster:
    """Starts tasks of a compiled pipeline.

    Args:
        graph: Its intermediate representation.
        artifacts: Folder of each artifact by the name of the input or output.
        folder: Where the tasks' programs and logs go.
    """

    def __init__(self, graph: dict[str, Any], artifacts: dict[str, Path], folder: Path):
        self._graph = graph
        self._artifacts = artifacts
        self._folder = folder

    def start(self, task: str, name: str, **environment: str) -> subprocess.Popen[bytes]:
        """Starts a task in the run with the id 7; what it prints goes into `NAME.log`."""
        program = self._folder / f"{name}.py"
        container = self._graph["deploymentSpec"]["executors"][f"exec-{task}"]["container"]
        program.write_text(container["command"][-1])
        given = {
            key: value["runtimeValue"]["constant"]
            for key, value in self._graph["root"]["dag"]["tasks"][task]["inputs"]["parameters"].items()
            if "runtimeValue" in value
        }
        version = self._graph["root"]["inputDefinitions"]["parameters"]["tfadt_version"]["defaultValue"]
        component = self._graph["components"][f"comp-{task}"]
        content = {
            "inputs": {
                "parameterValues": {**given, "tfadt_version": version, "run_id": "7"},
                "artifacts": self._of(component.get("inputDefinitions", {})),
            },
            "outputs": {
                "artifacts": self._of(component.get("outputDefinitions", {})),
                "outputFile": str(self._folder / f"{name}.json"),
            },
        }
        command = [sys.executable, "-m", "kfp.dsl.executor_main", "--component_module_path", str(program)]
        command += ["--executor_input", json.dumps(content)]
        command += ["--function_to_execute", container["args"][-1]]
        with (self._folder / f"{name}.log").open("wb") as log:
            environment = {**os.environ, "_KFP_RUNTIME": "true", "PYTHONUNBUFFERED": "1", **environment}
            return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def _of(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {"artifacts": [{"name": name, "type": spec["artifactType"], "uri": str(self._artifacts[name])}]}
            for name, spec in definitions.get("artifacts", {}).items()
        }

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()


def wait_for(condition: Callable[[], bool], seconds: float = 3600) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        time.sleep(0.1)


def chief_at(port: int) -> dict[str, str]:
    """Returns the environment that the cluster gives a chief."""
    return {"KERASTUNER_TUNER_ID": "chief", "KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}


@SOAK
def test_two_workers_find_their_chief_and_the_one_after_it_was_killed(tmp_path: Path) -> None:
    pipeline = tune_pipeline("search", settings(tmp_path / "served", *SEARCH))
    data = run(pipeline.until("ingest"), tmp_path / "store")["ingest"].outputs
    path = tmp_path / "search.yaml"
    compile_pipeline(pipeline, path, KubeflowConfig(trials_in_parallel=2, volumes={"searches": str(tmp_path / "volume")}))
    graph, _ = yaml.safe_load_all(path.read_text())
    cluster = Cluster(graph, {**data, "hyperparameters": tmp_path / "hyperparameters"}, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        first, second = (each.getsockname()[1] for each in (one, other))
    workers = [cluster.start(task, task) for task in ("tune-worker", "tune-worker-2")]
    processes = [*workers, cluster.start("tune", "chief-1", **chief_at(first))]
    logs = ("tune-worker", "tune-worker-2")
    try:
        at_work = f"works for the chief at 127.0.0.1:{first}\n"
        wait_for(lambda: all(at_work in cluster.log(name) for name in logs))
        wait_for(lambda: any("gmf-t_ce trial" in cluster.log(name) for name in logs))
        processes[-1].kill()
        processes[-1].wait()
        assert not (tmp_path / "hyperparameters").exists()
        processes.append(cluster.start("tune", "chief-2", **chief_at(second)))
        assert processes[-1].wait(timeout=3600) == 0, cluster.log("chief-2")
        assert [worker.wait(timeout=600) for worker in workers] == [0, 0], cluster.log("tune-worker")
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a worker with the process that makes its trials
    assert all(f"works for the chief at 127.0.0.1:{second}\n" in cluster.log(name) for name in logs)
    (search,) = Found.load(tmp_path / "hyperparameters").searches
    assert [trial.trial for trial in search.trials] == [str(number) for number in range(4)]
    assert [trial.reason for trial in search.trials] == [None] * 4
    assert Hyperparameters.open(tmp_path / "hyperparameters").summary()["val_recall@10"] == search.best.score
    # A worker that comes late has nothing to do.
    late = cluster.start("tune-worker", "late")
    assert late.wait(timeout=600) == 0, cluster.log("late")
    assert "works for" not in cluster.log("late")
