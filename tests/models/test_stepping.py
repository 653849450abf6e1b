"""How a run is cut into calls."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfadt.models.stepping import chunk_plan


@given(
    steps=st.integers(1, 300),
    epochs=st.integers(1, 5),
    per_call=st.integers(1, 250),
    stop=st.none() | st.integers(1, 400),
    first=st.integers(0, 500),
)
def test_calls_cover_every_step_once_and_stop_where_they_should(steps, epochs, per_call, stop, first):
    (begin, count), calls = chunk_plan(steps, epochs, per_call, [stop] if stop else [], first)
    assert len(begin) == calls * epochs
    np.testing.assert_array_equal(np.repeat(begin, count) + _within(count), np.arange(first, first + steps * epochs))
    assert count.max() <= per_call
    assert count.min() >= 0
    ends = set(begin + count)
    assert {first + steps * (e + 1) for e in range(epochs)} <= ends
    if stop:
        assert set(range(-(-(first + 1) // stop) * stop, first + steps * epochs + 1, stop)) <= ends


def _within(count):
    return np.concatenate([np.arange(c) for c in count])


def test_a_hand_computed_plan():
    # Epochs of 156 steps, a stop at every 100: 100 + 56, then 44 + 100 + 12, so the first epoch's longest call is halved.
    (begin, count), calls = chunk_plan(156, 2, 200, [100])
    assert calls == 3
    assert begin.tolist() == [0, 50, 100, 156, 200, 300]
    assert count.tolist() == [50, 50, 56, 44, 100, 12]


@pytest.mark.parametrize("stop", [None, 3])
def test_epochs_of_one_step(stop):
    (_, count), calls = chunk_plan(1, 4, 10, [stop] if stop else [])
    assert (count.tolist(), calls) == ([1, 1, 1, 1], 1)


@given(done=st.integers(0, 20))
def test_what_a_resumed_run_has_done_stays_in_the_plan_as_calls_of_no_steps(done):
    (whole, counts), calls = chunk_plan(10, 2, 4, [3], first_step=7)
    (begin, count), same = chunk_plan(10, 2, 4, [3], first_step=7, done=done)
    assert same == calls
    np.testing.assert_array_equal(np.repeat(begin, count) + _within(count), np.arange(7 + done, 27))
    untouched = whole >= 7 + done
    np.testing.assert_array_equal(begin[untouched], whole[untouched])
    np.testing.assert_array_equal(count[untouched], counts[untouched])
