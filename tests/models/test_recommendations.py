from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from tfadt.data.interactions import Vocabulary
from tfadt.evaluation.ranking import Ranking
from tfadt.models.recommendations import Recommendations

ITEMS = Vocabulary(np.array(["a", "b", "c"], object), "item_id")
CODES = np.array([[2, 0, -1], [1, -1, -1]])
SCORES = np.array([[2.0, 1.0, -np.inf], [0.5, -np.inf, -np.inf]], np.float32)
PLAIN = pd.DataFrame(
    {
        "user_id": [30, 30, 10],
        "rank": [1, 2, 1],
        "item_id": np.array(["c", "a", "b"], object),
        "score": np.array([2.0, 1.0, 0.5], np.float32),
    }
)


@pytest.fixture
def found():
    return Recommendations(np.array([30, 10]), Ranking(CODES, SCORES), ITEMS)


def test_it_is_a_table_by_ids(found):
    assert isinstance(found, pd.DataFrame)
    pd.testing.assert_frame_equal(found, PLAIN)


def test_items_are_codes(found):
    np.testing.assert_array_equal(found.items, CODES)
    assert (10 * np.arange(2)[:, None] + found.items).tolist() == [[2, 0, -1], [11, 9, 9]]
    assert type(found.items + 1) is type(found.items == CODES) is np.ndarray
    assert (found.items == CODES).all() is np.True_
    assert type(found.items.max()) is np.int64


def test_what_pandas_does_by_items_stays_as_it_is(found):
    assert [(name, column.tolist()) for name, column in found.items()] == [
        (name, PLAIN[name].tolist()) for name in PLAIN.columns
    ]
    for do in (
        lambda frame: frame.to_dict("list"),
        lambda frame: frame.to_dict("records"),
        lambda frame: frame.to_csv(),
        lambda frame: frame.memory_usage(deep=True).to_dict(),
        lambda frame: frame.dtypes.to_dict(),
        lambda frame: str(frame),
    ):
        assert do(found) == do(PLAIN)
    for do in (
        lambda frame: frame[1:],
        lambda frame: frame.round(0),
        lambda frame: frame.copy(),
        lambda frame: frame.groupby("user_id").head(1),
        lambda frame: frame.merge(frame, on="item_id"),
        lambda frame: pd.concat([frame, frame]),
        lambda frame: pd.DataFrame(frame),
        lambda frame: frame.assign(title="t"),
    ):
        assert type(do(found)) is pd.DataFrame
        pd.testing.assert_frame_equal(do(found), do(PLAIN))


def test_it_can_be_pickled(found):
    again = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(again, PLAIN)
    np.testing.assert_array_equal(again.items, CODES)


def test_nobody_asked_for(found):
    empty = Recommendations(np.array([], np.int64), Ranking(CODES[:0], SCORES[:0]), ITEMS)
    assert len(empty) == 0
    assert list(empty.columns) == list(PLAIN.columns)
    assert empty.items.shape == (0, 3)
