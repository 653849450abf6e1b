"""From a run that chose colliding inference to a served `recommend_colliding`."""

import numpy as np
import pytest
import tensorflow as tf
from serving_cases import K, small_config

from tfadt.evaluation.ranking import rank
from tfadt.experiments.collide import collide, saved_scorer
from tfadt.experiments.experiment import run_experiment
from tfadt.experiments.report import write_report
from tfadt.experiments.saved import SavedRun
from tfadt.serving.export.exporter import export_run
from tfadt.serving.metadata import read_metadata
from tfadt.serving.served import load_served
from tfadt.serving.verification.verify import verify

NAME = "gmf-t_ce-warmup+adt-0"
SETTINGS = [
    "adt.trainings=gmf-t_ce-warmup+adt",
    "collide.enabled=true",
    "collide.neighbors=3",
    "collide.lambdas=0.2",
    "collide.ratios=0.3",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("colliding") / "run"
    config = small_config(SETTINGS)
    data, runs = run_experiment(config, out)
    write_report(config, data, runs, out)
    saved = SavedRun.open(out)
    collide(saved)
    return saved


@pytest.fixture(scope="module")
def version(run, tmp_path_factory):
    return export_run(run, tmp_path_factory.mktemp("saved_models"), NAME)


def test_a_run_with_colliding_inference_exports_it(run, version):
    data, served = run.data, load_served(version)
    scorer = saved_scorer(run, NAME, run.load_model(NAME))
    users = np.arange(data.num_users)
    expected = rank(scorer, users, K, data.history("train", "valid"))
    found = served.signatures["recommend_colliding"](user_id=tf.constant(data.users.ids.astype(str)))
    np.testing.assert_allclose(found["scores"], expected.scores, rtol=1e-5, atol=1e-5)
    assert (found["item_ids"].numpy().astype(str) == data.items.decode(expected.items).astype(str)).mean() > 0.99
    neighbors = scorer.neighbors.numpy()
    assert (neighbors >= 0).any()
    names = np.where(neighbors >= 0, data.users.ids[neighbors].astype(str), "")
    assert found["neighbor_ids"].numpy().astype(str).tolist() == names.tolist()
    details = read_metadata(version)
    assert details["colliding"] == {"lambda": scorer.lambda_, "mix": "probabilities"}
    assert details["neighbors"] == neighbors.shape[1]


def test_it_is_proved_under_python_and_c(version):
    blessing = verify(version, seconds=0.02)
    assert blessing.blessed, blessing.checks
    assert "recommend_colliding" in {entry.signature for entry in blessing.latencies}
