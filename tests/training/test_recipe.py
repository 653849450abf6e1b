import numpy as np
import pytest

from tfadt.config.loading import load_config, settings_of
from tfadt.data.interactions import CSR
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF
from tfadt.models.neumf import NeuMF
from tfadt.training.recipe import settled


def histories(*counts):
    return CSR(np.cumsum([0, *counts]), np.concatenate([np.arange(count) for count in counts]))


def strong(model, *settings):
    return settings_of(load_config(None, ["adt.preset=strong", *settings]), model, "standard").adt


def test_the_objective_follows_the_clicks_of_a_user_who_has_some():
    many = settled(strong("gmf"), GMF, histories(60, 0, 40))
    assert (many.objective, many.negatives, many.num_negatives, many.batch_size) == (
        "binary_crossentropy",
        "uniform",
        16,
        17408,
    )
    few = settled(strong("gmf"), GMF, histories(60, 0, 39))
    assert (few.objective, few.negatives, few.num_negatives, few.batch_size) == ("softmax", "shared", 512, 1024)
    assert (many.l2, few.l2) == (pytest.approx(1 / 50), pytest.approx(49.5**-0.85))


def test_a_step_has_as_many_positives_whatever_the_objective():
    few = settled(strong("gmf", "adt.num_negatives=4", "adt.batch_size=1000"), GMF, histories(1))
    assert (few.num_negatives, few.batch_size, few.l2) == (128, 200, 1.0)
    assert settled(strong("gmf", "adt.batch_size=3"), GMF, histories(1)).batch_size == 1
    assert settled(strong("gmf"), GMF, histories(0, 0)).l2 == 0.0


def test_a_model_that_takes_no_shared_negatives_keeps_those_by_row():
    adt = load_config(None, ["adt.objective=auto", "adt.negatives=popularity"]).adt
    found = settled(adt, NeuMF, histories(1))
    assert (found.objective, found.negatives, found.num_negatives) == ("binary_crossentropy", "popularity", 16)


@pytest.mark.parametrize(("objective", "exponent"), [("bpr", 1.0), ("softmax", 0.85)])
def test_the_penalty_of_all_items_is_that_of_shared_ones(objective, exponent):
    adt = load_config(None, [f"adt.objective={objective}", "adt.l2=auto"]).adt
    assert settled(adt, CDAE, histories(4, 4)).l2 == pytest.approx(4**-exponent)


def test_what_is_set_stays():
    adt = load_config(None, ["adt.objective=bpr", "adt.l2=0.2"]).adt
    assert settled(adt, GMF, histories(100)) == adt
