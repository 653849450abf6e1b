"""The list of likely noise: ranks, and what the policy drops at the rate of the selected step."""

import numpy as np
import pandas as pd
import pytest
from model_cases import checkerboard, make

from tfadt.config import ADTConfig
from tfadt.denoising.standard import Standard
from tfadt.denoising.truncated import TCE
from tfadt.experiments.denoise import finds_noise, noise_scores
from tfadt.models.gmf import GMF

STEPS = 15  # of three epochs


def scored(policy, step=STEPS):
    data = checkerboard()
    model = make(GMF, data)
    model.compile(policy=policy)
    model.fit(data, epochs=3, batch_size=48)
    assert int(model.iteration) == STEPS
    return noise_scores(model, data, ADTConfig(epochs=3, batch_size=48), policy, step), data


def test_a_model_finetuned_since_is_judged_by_the_policy_it_was_trained_with():
    data = checkerboard()
    model = make(GMF, data)
    model.compile(policy=Standard())
    scores = noise_scores(model, data, ADTConfig(epochs=3, batch_size=48), TCE(0.1, 0.5), STEPS)
    assert scores["dropped"].sum() == pytest.approx(0.2 * len(data.train), abs=1)


def test_scores_are_the_share_of_positives_with_a_smaller_loss():
    scores, data = scored(TCE(0.1, 0.5))
    assert len(scores) == len(data.train)
    order = np.argsort(scores["loss"].to_numpy())
    assert (np.diff(scores["score"].to_numpy()[order]) >= 0).all()
    assert scores["score"].min() == 0.0
    assert scores["score"].max() < 1.0
    assert scores["user_id"].tolist() == data.users.decode(data.train.user).tolist()
    assert scores["false_positive"].tolist() == data.train.false_positive.tolist()


def test_the_policy_drops_twice_its_rate_of_the_positives_the_hardest():
    scores, data = scored(TCE(0.1, 0.5))
    assert scores["dropped"].sum() == pytest.approx(0.2 * len(data.train), abs=1)
    assert scores.loc[scores["dropped"], "loss"].min() >= scores.loc[~scores["dropped"], "loss"].max()


@pytest.mark.parametrize(("step", "share"), [(1, 0.0), (4, 3 / 7 * 0.2), (8, 0.2), (STEPS, 0.2), (None, 0.0)])
def test_the_rate_is_that_of_the_selected_step(step, share):
    scores, data = scored(TCE(0.1, num_gradual=8), step)
    expected = scores["score"] >= 1.0 - share
    assert scores["dropped"].tolist() == expected.tolist()
    assert expected.sum() >= int(share * len(data.train))


def test_a_model_of_the_softmax_is_judged_by_its_own_loss():
    data = checkerboard()
    model = make(GMF, data)
    model.compile(policy=TCE(0.25, 1), objective="softmax")
    model.fit(data, epochs=2, batch_size=40, num_negatives=8)
    settings = ADTConfig(epochs=2, batch_size=40, objective="softmax", negatives="shared", num_negatives=8)
    scores = noise_scores(model, data, settings, TCE(0.25, 1), 5)
    logits = model.score_users(data.train.user).numpy().astype(float)
    own = logits[np.arange(len(data.train)), data.train.item]
    np.testing.assert_allclose(scores["loss"], np.log(np.exp(logits).sum(axis=1)) - own, rtol=1e-4)
    # All rows are positives: the rate is their share.
    assert scores["dropped"].sum() == pytest.approx(0.25 * len(data.train), abs=1)


def test_plain_training_drops_nothing():
    assert not scored(Standard())[0]["dropped"].any()


def test_a_list_with_no_more_false_positives_than_chance_is_not_taken_for_noise():
    false = np.arange(100) % 5 == 0
    assert not finds_noise(pd.DataFrame({"dropped": np.arange(100) < 20, "false_positive": false}))
    assert not finds_noise(pd.DataFrame({"dropped": ~false, "false_positive": false}))
    assert finds_noise(pd.DataFrame({"dropped": false, "false_positive": false}))
