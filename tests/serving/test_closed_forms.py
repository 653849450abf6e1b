"""Models in closed form are exported and answer as any other."""

import numpy as np
import pytest
import tensorflow as tf
from model_cases import SOLVED, checkerboard, make, random_neighbors
from serving_cases import K

from tfadt.config import ExportConfig
from tfadt.evaluation.ranking import rank
from tfadt.inference.colliding import CollidingScorer
from tfadt.serving.contract import SIGNATURES
from tfadt.serving.export.exporter import export_model
from tfadt.serving.served import load_served


@pytest.mark.parametrize("cls", SOLVED, ids=lambda cls: cls.__name__)
def test_every_signature_answers_as_the_model(cls, tmp_path):
    data = checkerboard()
    model = make(cls, data)
    model.fit(data)
    colliding = CollidingScorer(model, random_neighbors(20, 3), 0.5)
    version = export_model(model, data, tmp_path / "model", ExportConfig(k=K), data.history(), colliding)
    served = load_served(version)
    assert set(served.signatures) == {*SIGNATURES, "serving_default"} - {"recommend_integer", "classify"}
    ids = tf.constant(data.users.ids.astype(str))
    for signature, scorer in (("recommend", model), ("recommend_colliding", colliding)):
        expected = rank(scorer, np.arange(20), K, data.history())
        found = served.signatures[signature](user_id=ids)["scores"].numpy()
        filled = expected.items >= 0
        np.testing.assert_allclose(found[filled], expected.scores[filled], rtol=1e-4, atol=1e-5)
    history = tf.constant([["i00", "i02", "", "i00"], ["i01", "nothing", "i03", ""]])
    answer = served.signatures["recommend_from_history"](item_ids=history)
    assert answer["known_history"].numpy().all()
    codes = [[0, 2], [1, 3]]
    expected = model.score_histories(tf.constant(codes, tf.int64)).numpy()
    for row, own in enumerate(codes):
        expected[row, own] = -np.inf
        best = np.sort(expected[row])[::-1][:K]
        np.testing.assert_allclose(answer["scores"].numpy()[row], best, rtol=1e-4, atol=1e-5)
