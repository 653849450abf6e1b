"""The files beside the versions parse as what a server and Docker read, and name what is there."""

import re
import subprocess

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfadt.serving.server_files import server_files

FILES = server_files("gmf", [3, 5, 6], "2.21.0", ["recommend"])


@pytest.mark.parametrize(("versions", "stable"), [([3, 5, 6], 5), ([6], 6)])
def test_the_model_config_labels_the_newest_version_and_the_one_before(versions, stable):
    text = server_files("gmf", versions, "2.21.0", ["recommend"])["models.config"]
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("gmf", "/models/gmf", "tensorflow")
    assert dict(model.version_labels) == {"stable": stable, "canary": 6}
    assert model.model_version_policy.latest.num_versions == 3


def test_the_batching_parameters_are_those_of_the_server():
    # tensorflow-serving-api does not bring the message BatchingParameters, so its fields stand here.
    known = {"max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"}
    lines = [line for line in FILES["batching.config"].splitlines() if not line.startswith("#")]
    found = [re.fullmatch(r"(\w+) \{ value: (\d+) \}", line) for line in lines]
    assert {match.group(1) for match in found} == known


def test_docker_run_and_compose_start_the_same_server(tmp_path):
    script = tmp_path / "gmf" / "server" / "docker-run.sh"
    script.parent.mkdir(parents=True)
    script.write_text(FILES["docker-run.sh"])
    fake = tmp_path / "bin" / "docker"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True, env={"PATH": f"{fake.parent}:/usr/bin:/bin"})
    arguments = done.stdout.splitlines()
    service = yaml.safe_load(FILES["docker-compose.yml"])["services"]["gmf"]
    assert arguments[:2] == ["run", "--rm"]
    assert f"type=bind,source={tmp_path / 'gmf'},target=/models/gmf,readonly" in arguments
    assert service["image"] in arguments
    assert arguments[arguments.index(service["image"]) + 1 :] == service["command"]
    assert [arguments[n + 1] for n, word in enumerate(arguments) if word == "-p"] == service["ports"]
    assert "--allow_version_labels_for_unavailable_models" in service["command"]
    assert service["volumes"] == [{"type": "bind", "source": "..", "target": "/models/gmf", "read_only": True}]
    for flag in service["command"]:
        if "config" in flag and flag.startswith("--model_config_file="):
            assert flag.endswith("/server/models.config")
    assert {"models.config", "batching.config"} <= set(FILES)


def test_an_export_writes_them_for_its_versions(exports):
    folder = exports["gmf"].parent / "server"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert 'key: "canary" value: 1' in (folder / "models.config").read_text()
