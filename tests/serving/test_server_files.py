"""The files beside the versions parse as what a server and Docker read, and name what is there."""

import csv
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
    known |= {"enable_large_batch_splitting", "max_execution_batch_size"}
    lines = [line for line in FILES["batching.config"].splitlines() if not line.startswith("#")]
    found = [re.fullmatch(r"(\w+) \{ value: (\d+|true) \}", line) for line in lines]
    assert {match.group(1) for match in found} == known
    values = dict(match.groups() for match in found)
    # A request of more rows than max_batch_size is refused; with splitting it may have more than are computed at once.
    assert values["enable_large_batch_splitting"] == "true"
    assert int(values["max_batch_size"]) >= 1000 > int(values["max_execution_batch_size"])


def test_a_server_of_lists_of_any_width_does_not_batch_unless_asked(tmp_path):
    # Two requests of different widths in one batch fail together.
    files = server_files("gmf", [6], "2.21.0", ["recommend", "recommend_excluding"])
    service = yaml.safe_load(files["docker-compose.yml"])["services"]["gmf"]
    assert not any("batching" in flag for flag in service["command"])
    assert "--enable_batching" in FILES["docker-run.sh"]
    arguments = docker_arguments(tmp_path, files, "--enable_batching")
    assert arguments[-len(service["command"]) - 1 :] == [*service["command"], "--enable_batching"]
    for name in ("docker-run.sh", "docker-compose.yml"):
        assert "recommend_excluding take lists of any width" in files[name]


def docker_arguments(folder, files, *flags):
    """Returns what the script `gmf/server/docker-run.sh` in a folder calls Docker with."""
    script = folder / "gmf" / "server" / "docker-run.sh"
    script.parent.mkdir(parents=True)
    script.write_text(files["docker-run.sh"])
    fake = folder / "bin" / "docker"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    command = ["sh", str(script), *flags]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": f"{fake.parent}:/usr/bin:/bin"})
    return done.stdout.splitlines()


def test_a_folder_with_commas_and_quotes_is_mounted(tmp_path):
    folder = tmp_path / 'one, "two"'
    folder.mkdir()
    arguments = docker_arguments(folder, FILES)
    (mount,) = csv.reader([arguments[arguments.index("--mount") + 1]])
    assert mount == ["type=bind", f"source={folder / 'gmf'}", "target=/models/gmf", "readonly"]


def test_docker_run_and_compose_start_the_same_server(tmp_path):
    arguments = docker_arguments(tmp_path, FILES)
    service = yaml.safe_load(FILES["docker-compose.yml"])["services"]["gmf"]
    assert arguments[:2] == ["run", "--rm"]
    assert f'type=bind,"source={tmp_path / "gmf"}",target=/models/gmf,readonly' in arguments
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
