"""Trainings over several devices, each call in a process of its own: TensorFlow settles its devices when it starts.

    python device_cases.py compare CASE ...      each case on one and on two logical CPU devices
    python device_cases.py resume CASE ...       on two, uncut and cut
    python device_cases.py worker CASE [HOW]     as one of the workers of TF_CONFIG

Prints one JSON document, the last line of the output.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from model_cases import checkerboard
from placement import on_host

from tfadt.config import Config
from tfadt.config.loading import load_config
from tfadt.errors import DataError, DeviceError
from tfadt.models.recommender import Recommender
from tfadt.training.checkpoints import CheckpointStore
from tfadt.training.plan import Plan
from tfadt.training.progress import Progress
from tfadt.training.stages import Trained, train

# 574 clicks of 41 users, 1,148 rows with a negative each. The last batch of an epoch has one row or, for CDAE, one user: the
# first device has nothing to do then.
_BY_ROW = {"batch_size": 37, "epochs": 7, "l2": 0.01}
_BY_USER = {"user_batch_size": 4, "epochs": 19, "l2": 0.01}
_SHARED = {"batch_size": 41, "epochs": 15, "l2": 0.1, "negatives": "shared", "num_negatives": 8}
_SIZES = {
    "gmf": {"embedding_dim": 8, "item_bias": True},
    "neumf": {"embedding_dim": 4},
    "cdae": {"hidden_dim": 16},
    "nmtr": {"embedding_dim": 8},
}
CASES: dict[str, dict[str, Any]] = {
    "gmf-t_ce": {**_SHARED, "objective": "softmax", "epochs": 15 if "TFADT_SOAK_DEVICES" in os.environ else 5},
}
"""What `make test` trains."""
MORE: dict[str, dict[str, Any]] = {
    **{f"gmf-{policy}": _BY_ROW for policy in ("standard", "random_drop", "popularity", "udt", "pld", "dcf", "sgdl", "nr")},
    "gmf-r_ce": _SHARED,
    "neumf-r_ce": {**_BY_ROW, "epochs": 2},
    "cdae-t_ce": {**_BY_USER, "epochs": 6},
    "neumf-t_ce": {**_BY_ROW, "objective": "bpr"},
    "cdae-standard": {**_BY_USER, "objective": "softmax"},
    "cdae-random_drop": _BY_USER,
    "nmtr-t_ce": _BY_ROW,
}
"""What `make soak` trains besides."""


class Losses(Progress):
    """Keeps the running mean of the loss after each call.

    Args:
        cut: The step after which `cut_off` is called; None for never.
        cut_off: What ends the training.
    """

    def __init__(self, cut: int | None = None, cut_off: Callable[[], None] = lambda: None):
        self.losses: list[float] = []
        self._cut = cut
        self._cut_off = cut_off

    def advance(self, step: int, logs: dict[str, Any]) -> None:
        self.losses.append(float(logs["loss"]))
        if self._cut is not None and step >= self._cut:
            self._cut_off()


def configuration(case: str, strategy: str = "none") -> Config:
    model, policy = case.split("-")
    adt = {"preset": "paper", "selection": "last", "steps_per_call": 10, "checkpoint_every": 70, "strategy": strategy}
    settings = {"r_ce": {"normalise": True}}.get(policy, {})
    sections = {"adt": {**adt, **{**CASES, **MORE}[case]}, "model": {model: _SIZES[model]}, "policy": {policy: settings}}
    return load_config(base=sections)


def run(case: str, config: Config, listener: Losses, **options: Any) -> Trained:
    model, policy = case.split("-")
    return train(Plan(model, policy, 3), checkerboard(41, 32), config, progress=listener, **options)


def scores(model: Recommender) -> list[list[float]]:
    """The scores of some users but for what all items have in common: under the softmax nothing settles that."""
    found = model.score_users(tf.range(8, dtype=tf.int64)).numpy()
    centred: list[list[float]] = (found - found.mean(axis=1, keepdims=True)).tolist()
    return centred


def compare(case: str) -> dict[str, Any]:
    """Trains on one device and on two."""
    listeners = Losses(), Losses()
    one, two = (
        run(case, configuration(case, strategy), listener)
        for strategy, listener in zip(("none", "mirrored"), listeners, strict=True)
    )
    model = two.model
    copies = [model.strategy.experimental_local_results(variable.value) for variable in model.trainable_variables]
    return {
        "steps": int(model.iteration),
        "devices": [one.devices, two.devices],
        "losses": [listener.losses for listener in listeners],
        "epochs": [each.history.drop(columns="stage").to_numpy().tolist() for each in (one, two)],
        "scores": [scores(each.model) for each in (one, two)],
        "copies_are_equal": all(np.array_equal(*each) for each in copies),
        "on_host": on_host(model.train_function.function),
    }


def resume(case: str) -> dict[str, Any]:
    """Trains on two devices, uncut and with a cut in the midst."""

    def cut_off() -> None:
        raise KeyboardInterrupt

    config = configuration(case, "mirrored")
    uncut = run(case, config, Losses())
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder))
        with contextlib.suppress(KeyboardInterrupt):
            run(case, config, Losses(100, cut_off), checkpoints=store)
        cut_at = CheckpointStore(Path(folder) / "adt").latest_step()
        resumed = run(case, config, Losses(), checkpoints=store)
    weights = zip(resumed.model.get_weights(), uncut.model.get_weights(), strict=True)
    return {"cut_at": cut_at, "equal": all(np.array_equal(a, b) for a, b in weights)}


def work(case: str, how: str = "well") -> dict[str, Any]:
    """Trains as one of several workers: well, or one `dies` in the midst, or has a checkpoint that others have not."""
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    listener = Losses(100, lambda: os._exit(1)) if how == "dies" else Losses()
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder))
        if how == "ahead":
            run(case, configuration(case), Losses(), checkpoints=store)
        try:
            trained = run(case, configuration(case), listener, checkpoints=store, strategy=strategy)
        except (DataError, DeviceError) as error:
            return {"error": str(error)}
    return {"devices": trained.devices, "losses": listener.losses, "scores": scores(trained.model)}


def main(role: str, *cases: str) -> None:
    found: Any
    if role == "worker":
        found = work(*cases)
    else:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        found = {case: {"compare": compare, "resume": resume}[role](case) for case in cases}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
