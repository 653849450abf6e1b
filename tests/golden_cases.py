"""The reference trajectories of the method authors' code, and models set to their initial weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfadt.denoising.base import DenoisingPolicy
from tfadt.denoising.reweighted import RCE
from tfadt.denoising.standard import Standard
from tfadt.denoising.truncated import TCE
from tfadt.models.gmf import GMF
from tfadt.models.neumf import NeuMF
from tfadt.models.recommender import Recommender

GOLDEN = Path(__file__).parent / "golden"
TRAJECTORIES = ("gmf_ce", "gmf_r_ce", "gmf_t_ce", "neumf_r_ce", "neumf_t_ce")


class LossOfEachStep(keras.callbacks.Callback):
    """Keeps the losses of the steps, of which Keras logs the running mean."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        self.losses.append(logs["loss"])


@dataclass
class Trajectory:
    config: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @classmethod
    def load(cls, name: str) -> Trajectory:
        with np.load(GOLDEN / f"{name}.npz") as file:
            arrays = {key: file[key] for key in file.files}
        return cls(json.loads(str(arrays.pop("config"))), arrays)

    def policy(self) -> DenoisingPolicy:
        if self.config["loss"] == "t_ce":
            return TCE(self.config["max_drop_rate"], num_gradual=self.config["num_gradual"])
        return RCE(self.config["beta"]) if self.config["loss"] == "r_ce" else Standard()

    def model(self, optimizer: keras.optimizers.Optimizer) -> Recommender:
        cls = {"GMF": GMF, "NeuMF": NeuMF}[self.config["model"]]
        model = cls(self.config["num_users"], self.config["num_items"], embedding_dim=self.config["embedding_dim"])
        for variable, value in zip(model.trainable_variables, self.weights("init"), strict=True):
            variable.assign(value)
        model.compile(optimizer=optimizer, policy=self.policy())
        return model

    def weights(self, when: str) -> list[np.ndarray]:
        """The weights in our layout: one table row holds a user's GMF vector, then its MLP vector."""
        get = {key.split("/")[1]: value for key, value in self.arrays.items() if key.startswith(when)}
        if self.config["model"] == "GMF":
            return [get["user_gmf"], get["item_gmf"], get["predict_kernel"], get["predict_bias"]]
        tables = [np.concatenate([get[f"{side}_gmf"], get[f"{side}_mlp"]], axis=1) for side in ("user", "item")]
        mlp = [get[f"mlp{n}_{part}"] for n in range(3) for part in ("kernel", "bias")]
        return [*tables, *mlp, get["predict_kernel"], get["predict_bias"]]

    def replay(self, model: Recommender) -> np.ndarray:
        """Feeds the batches to the model's own train step; returns the loss of each step."""
        each = LossOfEachStep()
        batches = ((self.arrays["users"], self.arrays["items"]), self.arrays["labels"])
        model.fit(tf.data.Dataset.from_tensor_slices(batches), callbacks=[each])
        assert len(each.losses) == self.config["steps"]
        return np.asarray(each.losses)
