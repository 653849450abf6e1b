"""The drop rate: hand-computed values, the length of the run, refusals."""

import warnings

import pytest

from tfadt.denoising.schedules import DropRate
from tfadt.errors import ConfigError


def test_grows_linearly_over_n_points_and_stays():
    rate = DropRate(0.2, num_gradual=5)
    assert [float(rate(t)) for t in range(7)] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.2, 0.2], abs=1e-12)


def test_exponent_shapes_the_ramp_and_reaches_the_maximum_without_a_jump():
    rate = DropRate(0.2, num_gradual=5, exponent=2.0)
    assert [float(rate(t)) for t in range(6)] == pytest.approx([0, 0.0125, 0.05, 0.1125, 0.2, 0.2], abs=1e-12)


def test_a_ramp_of_one_iteration_starts_at_zero():
    rate = DropRate(0.3, num_gradual=1)
    assert [float(rate(t)) for t in range(3)] == pytest.approx([0, 0.3, 0.3])


def test_a_share_of_the_run_is_settled_by_its_length():
    rate = DropRate(0.1, num_gradual=0.5)
    rate.prepare(total_steps=20)
    assert float(rate(9)) == pytest.approx(0.1)
    assert float(rate(3)) == pytest.approx(0.1 * 3 / 9)


def test_a_share_of_an_unknown_run_is_refused():
    with pytest.raises(ConfigError, match=r"num_gradual=0\.5 is a share of the run"):
        DropRate(0.1, num_gradual=0.5)(0)


def test_a_ramp_that_outlasts_the_run_is_warned_about_with_the_rate_it_reaches():
    with pytest.warns(
        UserWarning, match=r"num_gradual=101\) outlasts the run \(51 iterations\): it will reach 0\.05, not 0\.1"
    ):
        DropRate(0.1, num_gradual=101).prepare(51)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DropRate(0.1, num_gradual=51).prepare(51)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_drop_rate": 1.0}, r"max_drop_rate must lie in \[0, 1\)\. Received: 1\.0"),
        ({"max_drop_rate": -0.1}, r"max_drop_rate must lie"),
        ({"num_gradual": 0}, r"num_gradual must be at least 1 iteration\. Received: 0"),
        ({"num_gradual": 1.5}, r"iterations are an int\. Received: 1\.5"),
        ({"num_gradual": True}, r"num_gradual must be an int or a float\. Received: True"),
        ({"exponent": 0.0}, r"exponent must be positive\. Received: 0\.0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        DropRate(**arguments)
