"""Training through DeferredAdam against dense keras.optimizers.Adam on the same batches."""

import keras
import numpy as np
import pytest
from golden_cases import TRAJECTORIES, Trajectory
from model_cases import SMALL, checkerboard, make
from soak import EVERY

from tfadt.denoising.truncated import TCE
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF
from tfadt.optimizers.deferred_adam import DeferredAdam


@pytest.mark.parametrize("name", TRAJECTORIES if EVERY else ("gmf_r_ce", "neumf_t_ce"))
def test_reference_batches_end_where_dense_adam_ends(name):
    trajectory = Trajectory.load(name)
    rate = trajectory.config["lr"]
    models = [trajectory.model(optimizer(rate, epsilon=1e-8)) for optimizer in (keras.optimizers.Adam, DeferredAdam)]
    dense, deferred = (trajectory.replay(model) for model in models)
    np.testing.assert_allclose(deferred, dense, rtol=0, atol=1e-5)
    for a, b in zip(models[1].trainable_variables, models[0].trainable_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=1e-4, err_msg=a.path)


@pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("objective", ["binary_crossentropy", "bpr"])
def test_every_model_ends_where_dense_adam_ends(cls, objective):
    if not (EVERY or cls is GMF or objective == "binary_crossentropy"):
        pytest.skip("pairs under one model: make soak")
    data = checkerboard()
    weights = []
    for optimizer in (keras.optimizers.Adam, DeferredAdam):
        model = make(cls, data)
        # Under BPR a bias has a gradient that mostly cancels; a small epsilon would blow up what rounding leaves.
        model.compile(optimizer(0.01, epsilon=1e-5 if objective == "bpr" else 1e-7), TCE(0.2, 5), objective)
        model.fit(data, epochs=4, batch_size=4 if cls.user_batches else 16)
        # A margin does not depend on the output bias: under BPR its gradient is rounding error and nothing else.
        compared = [v for v in model.trainable_variables if objective != "bpr" or v.name != "output_bias"]
        weights.append([v.numpy() for v in compared])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


@pytest.mark.parametrize("cls", SMALL if EVERY else (GMF, CDAE), ids=lambda cls: cls.__name__)
def test_looking_at_the_model_on_the_way_changes_no_bit(cls):
    data = checkerboard()

    def run(look):
        model = make(cls, data)
        model.compile(DeferredAdam(0.01), TCE(0.2, 5))

        class Look(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.model.rank([0, 1], 3)

        model.fit(data, epochs=2, batch_size=4, steps_per_call=2, callbacks=[Look()] if look else [])
        return model.get_weights()

    for a, b in zip(run(False), run(True), strict=True):
        np.testing.assert_array_equal(a, b)
