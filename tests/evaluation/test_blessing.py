"""The verdict on a model beside a baseline."""

from __future__ import annotations

import pandas as pd
import pytest

from tfadt.config.ranking import BlessingConfig
from tfadt.evaluation.blessing import bless
from tfadt.evaluation.ranking import Evaluation


def evaluation(recalls: list[float]) -> Evaluation:
    mean = sum(recalls) / len(recalls)
    return Evaluation({"recall@20": mean}, pd.DataFrame({"user": range(len(recalls)), "recall@20": recalls}))


# Better by .25 on the mean, and by chance: two users gain .5, one loses .25, one gains .25.
POPULAR = evaluation([0.0, 0.0, 0.5, 0.25])
MODEL = evaluation([0.5, 0.5, 0.25, 0.5])


@pytest.mark.parametrize(
    ("settings", "blessed", "expected"),
    [
        ({}, True, "expected at least +0."),
        ({"min_difference": 0.25}, True, "expected at least +0.25."),
        ({"min_difference": 0.26}, False, "expected at least +0.26."),
        ({"max_p": 0.05}, False, "expected at least +0 with p at most 0.05."),
        ({"max_p": 1.0}, True, "expected at least +0 with p at most 1."),
    ],
)
def test_the_difference_decides_and_if_asked_for_its_significance(
    settings: dict[str, float], blessed: bool, expected: str
) -> None:
    found = bless(MODEL, POPULAR, "recall@20", BlessingConfig(**settings))
    assert found.blessed is blessed
    assert found.reason.startswith("recall@20 0.4375 is +0.2500 against popular (0.1875, p = ")
    assert found.reason.endswith(expected)


def test_without_a_baseline_every_model_is_blessed() -> None:
    found = bless(MODEL, None, "recall@20", BlessingConfig(baseline="none", max_p=0.05))
    assert (found.blessed, found.baseline, found.test) == (True, "none", None)
