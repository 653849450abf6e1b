"""AUC, its interval, the Brier score and the reliability table, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tfadt.denoising.calibration import Calibration


def test_the_numbers_of_four_clicks() -> None:
    found = Calibration.of(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1]))
    # Three of the four pairs of a disliked and a liked click are in order; .7 lies below .8.
    assert found.auc == 0.75
    # DeLong: the shares 1 and .5 of each sign have the variance .125, and each sign two clicks: sqrt(.0625 + .0625).
    assert found.auc_interval == (pytest.approx(0.75 - 1.959964 * 0.125**0.5), 1.0)
    assert found.brier == pytest.approx((0.01 + 0.64 + 0.09 + 0.01) / 4)
    assert found.brier_of_mean == 0.25
    # Fewer clicks than bins: one each, the smallest p first.
    assert found.reliability == ((0.1, 0.0, 1), (0.7, 1.0, 1), (0.8, 0.0, 1), (0.9, 1.0, 1))


def test_ties_count_half_and_bins_are_tenths() -> None:
    disliked = np.arange(40) % 4 == 0
    found = Calibration.of(disliked, np.full(40, 0.25))
    assert found.auc == 0.5
    assert found.auc_interval == (0.5, 0.5)
    assert found.brier == found.brier_of_mean == 0.1875
    assert [(p, n) for p, _, n in found.reliability] == [(0.25, 4)] * 10
    assert [share for _, share, _ in found.reliability] == [0.25] * 10


def test_it_is_written_as_json_has_it() -> None:
    found = Calibration.of(np.array([True, False, True, False]), np.array([0.6, 0.4, 0.6, 0.4])).as_dict()
    assert found["reliability"] == [[0.4, 0.0, 1], [0.4, 0.0, 1], [0.6, 1.0, 1], [0.6, 1.0, 1]]
    assert (found["auc"], found["auc_interval"], found["brier_of_mean"]) == (1.0, [1.0, 1.0], 0.25)
    assert found["brier"] == pytest.approx(0.16)
