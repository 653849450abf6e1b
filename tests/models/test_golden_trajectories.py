"""Our models, policies and train step against training runs of the method authors' own code."""

import numpy as np
import pytest
from golden_cases import TRAJECTORIES, Trajectory
from torch_adam import TorchAdam


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_replayed_trajectory_matches_the_authors_code(name):
    trajectory = Trajectory.load(name)
    c = trajectory.config
    optimizer = TorchAdam(c["lr"], beta_1=c["beta_1"], beta_2=c["beta_2"], epsilon=c["adam_epsilon"])
    model = trajectory.model(optimizer)

    losses = trajectory.replay(model)

    np.testing.assert_allclose(losses, trajectory.arrays["losses"], rtol=0, atol=1e-5)
    for variable, expected in zip(model.trainable_variables, trajectory.weights("final"), strict=True):
        np.testing.assert_allclose(variable.numpy(), expected, rtol=0, atol=1e-4, err_msg=variable.path)
