from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfadt.data.interactions import Vocabulary

NUMBERS = Vocabulary(np.array([7, 3, 2**53, 2**60 + 1, -4]), "user_id")
TEXTS = Vocabulary(np.array(["7", "07", "x", "7.5", "nan", "None", "True"], object), "user_id")

CASES: dict[str, tuple[Any, list[int], list[int]]] = {
    # what is encoded, its codes among NUMBERS, its codes among TEXTS
    "integers": ([7, 3, 8], [0, 1, -1], [0, -1, -1]),
    "text": (["7", "x", "07", " 7", "7.0", ""], [0, -1, -1, -1, -1, -1], [0, 2, 1, -1, -1, -1]),
    "floats": ([7.0, 7.5, -4.0], [0, -1, 4], [0, -1, -1]),
    "float array": (np.array([7.0, 7.5, np.nan, np.inf, -np.inf]), [0, -1, -1, -1, -1], [0, -1, -1, -1, -1]),
    "missing": ([None, float("nan"), pd.NA, pd.NaT], [-1] * 4, [-1] * 4),
    "mixed": ([7, "7", 7.0, None, "x"], [0, 0, 0, -1, -1], [0, 0, 0, -1, 2]),
    "large beside missing": ([2**60 + 1, 2**60, None], [3, -1, -1], [-1] * 3),
    "float that could be several integers": ([float(2**53)], [-1], [-1]),
    "half precision": (np.array([7, 2**11], np.float16), [0, -1], [0, -1]),
    "booleans": ([True, np.True_], [-1, -1], [-1, -1]),
    "unsigned": (np.array([7, 2**63 + 7], np.uint64), [0, -1], [0, -1]),
    "small integers": (np.array([7, -4], np.int8), [0, 4], [0, -1]),
    "beyond 64 bits": ([2**100, 7], [-1, 0], [-1, 0]),
    "Int64 with a missing one": (pd.Series([7, None, 3], dtype="Int64"), [0, -1, 1], [0, -1, -1]),
    "large Int64": (pd.Series([2**60 + 1, None], dtype="Int64"), [3, -1], [-1, -1]),
    "Float64": (pd.Series([7.0, 7.5, None], dtype="Float64"), [0, -1, -1], [0, -1, -1]),
    "string series": (pd.Series(["7", None], dtype="string"), [0, -1], [0, -1]),
    "text series": (pd.Series(["7", None, "x"]), [0, -1, -1], [0, -1, 2]),
    "categories": (pd.Series([7, None], dtype="category"), [0, -1], [0, -1]),
    "index": (pd.Index([7, 8]), [0, -1], [0, -1]),
    "fixed-width text": (np.array(["7", "x"]), [0, -1], [0, 2]),
    "something else": ([b"7", (7,), 7j], [-1] * 3, [-1] * 3),
    "nothing": ([], [], []),
}


@pytest.mark.parametrize("name", CASES)
def test_ids_of_every_kind_have_a_code_or_are_unknown(name):
    ids, numbers, texts = CASES[name]
    for vocabulary, expected in ((NUMBERS, numbers), (TEXTS, texts)):
        codes = vocabulary.encode(ids)
        assert codes.dtype == np.int64
        assert codes.tolist() == expected


@given(st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())))
def test_a_code_is_of_an_id_written_alike(ids):
    for vocabulary in (NUMBERS, TEXTS):
        for given_id, code in zip(ids, vocabulary.encode(ids), strict=True):
            if code >= 0:
                found = vocabulary.ids[code]
                assert given_id == found or str(given_id) in (str(found), f"{found}.0")


@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, min_size=1))
def test_encode_turns_decode_around(ids):
    vocabulary = Vocabulary(np.array(ids, np.int64))
    codes = np.arange(len(ids))
    for form in (vocabulary.ids, ids, [str(each) for each in ids], pd.array(ids, dtype="Int64")):
        np.testing.assert_array_equal(vocabulary.encode(form), codes)
    np.testing.assert_array_equal(vocabulary.decode(codes), vocabulary.ids)
