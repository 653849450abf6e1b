"""The files beside the versions parse as what a server and Docker read, and name what is there."""

import csv
import re
import subprocess

import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfadt.serving.server_files import ModelEntry, server_files

METADATA = {"name": "gmf", "tensorflow": "2.21.0", "signatures": ["recommend"]}


def entry(versions=(3, 5, 6), labels=(("stable", 6), ("canary", 6)), **metadata):
    return ModelEntry.of(METADATA | metadata, versions, dict(labels))


FILES = server_files([entry()])


def test_the_model_config_has_every_model_with_its_labels():
    # Of the news, version 2 is stable: it stays loaded beside 3, 5, 6 and one that comes before this is read again.
    news = entry((1, 2, 3, 5, 6), (("stable", 2), ("canary", 6)), name="news", tensorflow="2.9.1")
    files = server_files([entry(), news])
    config = text_format.Parse(files["models.config"], model_server_config_pb2.ModelServerConfig())
    models = config.model_config_list.config
    assert [(model.name, model.base_path) for model in models] == [("gmf", "/models/gmf"), ("news", "/models/news")]
    assert {model.model_platform for model in models} == {"tensorflow"}
    assert [dict(model.version_labels) for model in models] == [{"stable": 6, "canary": 6}, {"stable": 2, "canary": 6}]
    assert [model.model_version_policy.latest.num_versions for model in models] == [3, 5]
    # One server for both: the newest TensorFlow of the two.
    assert yaml.safe_load(files["docker-compose.yml"])["services"]["tensorflow-serving"]["image"].endswith(":2.21.0")


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
    files = server_files([entry(), entry(name="news", signatures=["recommend", "recommend_excluding"])])
    service = yaml.safe_load(files["docker-compose.yml"])["services"]["tensorflow-serving"]
    assert not any("batching" in flag for flag in service["command"])
    assert "--enable_batching" in FILES["docker-run.sh"]
    arguments = docker_arguments(tmp_path, files, "--enable_batching")
    assert arguments[-len(service["command"]) - 1 :] == [*service["command"], "--enable_batching"]
    for name in ("docker-run.sh", "docker-compose.yml"):
        assert "recommend_excluding take lists of any width" in files[name]


def docker_arguments(folder, files, *flags):
    """Returns what the script `server/docker-run.sh` in a folder calls Docker with."""
    script = folder / "server" / "docker-run.sh"
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
    assert mount == ["type=bind", f"source={folder}", "target=/models", "readonly"]


def test_docker_run_and_compose_start_the_same_server(tmp_path):
    arguments = docker_arguments(tmp_path, FILES)
    service = yaml.safe_load(FILES["docker-compose.yml"])["services"]["tensorflow-serving"]
    assert arguments[:2] == ["run", "--rm"]
    assert f'type=bind,"source={tmp_path}",target=/models,readonly' in arguments
    assert service["image"] in arguments
    assert arguments[arguments.index(service["image"]) + 1 :] == service["command"]
    assert [arguments[n + 1] for n, word in enumerate(arguments) if word == "-p"] == service["ports"]
    assert "--allow_version_labels_for_unavailable_models" in service["command"]
    assert service["volumes"] == [{"type": "bind", "source": "..", "target": "/models", "read_only": True}]
    for flag in service["command"]:
        if "config" in flag and flag.startswith("--model_config_file="):
            assert flag.endswith("/server/models.config")
    assert {"models.config", "batching.config"} <= set(FILES)
