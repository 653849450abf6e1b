"""Trainings over several devices are those of one device."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from device_cases import CASES, MORE
from model_cases import checkerboard, make

from tfadt.config.loading import load_config
from tfadt.errors import ConfigError
from tfadt.experiments.plans import plans
from tfadt.models.gmf import GMF
from tfadt.sampling.replicas import check_strategy
from tfadt.training.plan import Plan
from tfadt.training.progress import Progress
from tfadt.training.stages import train

TESTS = Path(__file__).parent.parent
SOAK = pytest.mark.skipif("TFADT_SOAK_DEVICES" not in os.environ, reason="takes minutes: make soak")


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(TESTS / "device_cases.py"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})


def told(process: subprocess.Popen[str]) -> Any:
    output, _ = process.communicate(timeout=600)
    return json.loads(output.splitlines()[-1])


def start_workers(*arguments: list[str]) -> list[subprocess.Popen[str]]:
    """Starts workers on free ports of this machine, each with its arguments."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("localhost", 0))
        cluster = {"worker": [f"localhost:{each.getsockname()[1]}" for each in (first, second)]}
    tasks = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": n}}) for n in range(len(arguments))]
    return [start("worker", *each, TF_CONFIG=task) for each, task in zip(arguments, tasks, strict=True)]


@pytest.fixture(scope="module")
def compared() -> Any:
    return told(start("compare", *CASES))


def check(found: dict[str, Any]) -> None:
    assert found["steps"] >= 60
    assert found["devices"] == [1, 2]
    for name, one_and_two in (("losses", found["losses"]), ("epochs", found["epochs"])):
        np.testing.assert_allclose(*one_and_two, rtol=0, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(*found["scores"], rtol=0, atol=1e-4)
    assert found["copies_are_equal"]
    assert found["on_host"] == []


@pytest.mark.parametrize("case", CASES)
def test_two_devices_train_as_one(case: str, compared: dict[str, Any]) -> None:
    check(compared[case])
    assert compared["gmf-t_ce"]["steps"] >= (200 if "TFADT_SOAK_DEVICES" in os.environ else 60)


@SOAK
@pytest.mark.parametrize("case", MORE)
def test_two_devices_train_as_one_under_every_policy(case: str) -> None:
    check(told(start("compare", case))[case])


@SOAK
@pytest.mark.parametrize("case", ["gmf-dcf", "cdae-standard"])
def test_a_training_over_two_devices_resumes_exactly(case: str) -> None:
    assert told(start("resume", case))[case] == {"cut_at": 70, "equal": True}


@SOAK
def test_two_workers_train_as_one_device() -> None:
    case = "gmf-t_ce"
    first, second = map(told, start_workers([case], [case]))
    one = told(start("compare", case))[case]
    assert first["devices"] == 2
    assert first == second
    np.testing.assert_allclose(first["losses"], one["losses"][0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(first["scores"], one["scores"][0], rtol=0, atol=1e-4)


@SOAK
def test_a_worker_that_dies_ends_the_training_of_the_others_with_an_error() -> None:
    left, died = start_workers(["gmf-t_ce"], ["gmf-t_ce", "dies"])
    assert "A device or a worker that shares the training was lost after step 10" in told(left)["error"]
    assert died.wait() == 1


@SOAK
def test_workers_with_different_checkpoints_are_told() -> None:
    for found in map(told, start_workers(["gmf-t_ce"], ["gmf-t_ce", "ahead"])):
        assert "begin at different steps" in found["error"]
        assert "Received: checkpoints of the steps 0, 210 (0 for none)" in found["error"]


@pytest.mark.parametrize("strategy", ["mirored", "multi_worker"])
def test_a_wrong_strategy_is_told(strategy: str) -> None:
    with pytest.raises(ConfigError, match=f"'adt.strategy': .*'none' or 'mirrored'. Received: '{strategy}'"):
        load_config(None, [f"adt.strategy={strategy}"])


def test_fewer_rows_than_devices_are_told_before_data_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    three = [tf.config.LogicalDevice(f"/device:CPU:{n}", "CPU") for n in range(3)]
    strategy = type("Three", (), {"num_replicas_in_sync": len(three)})
    monkeypatch.setattr("tfadt.training.devices._mirrored", lambda: strategy)
    for model, name in (("gmf", "batch_size"), ("cdae", "user_batch_size")):
        settings = ["adt.preset=paper", "adt.strategy=mirrored", f"adt.models={model}", f"adt.{name}=2"]
        with pytest.raises(ConfigError, match=f"Expected adt.{name} of at least 3, the number of devices.*Received: 2"):
            plans(load_config(None, settings))


def test_one_device_is_told_of_and_trains_alone() -> None:
    said: list[str] = []

    class Heard(Progress):
        def say(self, text: str) -> None:
            said.append(text)

    settings = {"preset": "paper", "epochs": 2, "batch_size": 64, "selection": "last"}
    configs = [load_config(base={"adt": {**settings, "strategy": name}}) for name in ("none", "mirrored")]
    trained = [train(Plan("gmf", "t_ce", 0), checkerboard(), config, progress=Heard()) for config in configs]
    assert said == ["gmf-t_ce-0: adt.strategy=mirrored found one device, which trains alone"]
    assert [each.devices for each in trained] == [1, 1]
    for alone, mirrored in zip(*(each.model.get_weights() for each in trained), strict=True):
        np.testing.assert_array_equal(alone, mirrored)


def test_what_a_strategy_does_not_take_is_told() -> None:
    data = checkerboard()
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = make(GMF, data)
        model.compile()
        with pytest.raises(ConfigError, match=r"Call fit\(\) outside of the scope"):
            model.fit(data)
        optimizer = keras.optimizers.Adam()
    for make_model, own in ((lambda: model, keras.optimizers.Adam()), (lambda: make(GMF, data), optimizer)):
        with pytest.raises(ConfigError, match="Make the optimizer in the scope of the distribution strategy"):
            make_model().compile(own)
    pairs = (data.train.user, data.train.item), np.ones(len(data.train))
    with pytest.raises(ConfigError, match=r"draws its batches itself. Expected an InteractionData. Received: arrays"):
        model.fit(*pairs)
    with pytest.raises(ConfigError, match=r"Expected a MirroredStrategy or a Multi.*Received: Central"):
        check_strategy(tf.distribute.experimental.CentralStorageStrategy(["CPU:0", "CPU:0"]), "adam")
