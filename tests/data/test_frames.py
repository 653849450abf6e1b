"""Frames of pandas and polars, tables of pyarrow, and what is none of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from log_cases import expected, pairs, ratings

import tfadt
from tfadt.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore")  # looked up in the manifest

FRAME = pd.DataFrame(ratings(), columns=["user_id", "item_id", "rating"]).astype(int)
MISSING_USERS: dict[str, Callable[[pd.Series], object]] = {
    "float": lambda user: user.where(user > 1),
    "Int64": lambda user: user.astype("Int64").where(user > 1),
    "text": lambda user: user.astype(str).where(user > 1),
    "object": lambda user: user.astype(object).where(user > 1, None),
    "category": lambda user: pd.Categorical.from_codes(user.to_numpy() - 2, categories=list(range(2, 9))),
}


@pytest.mark.parametrize("user", MISSING_USERS.values(), ids=MISSING_USERS)
def test_a_missing_id_of_a_frame_is_rejected_and_the_others_stay_integers(user: Callable[[pd.Series], object]) -> None:
    data = tfadt.from_frame(FRAME.assign(user_id=user(FRAME.user_id)))
    assert data.manifest["rows"]["rejected"] == {"user_id missing": 6}
    assert pairs(data) == expected(row for row in ratings() if row[0] != "1")


def test_frames_of_polars_and_tables_of_pyarrow_are_read_as_those_of_pandas() -> None:
    pyarrow, polars = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    fingerprint = tfadt.from_frame(FRAME).manifest["fingerprint"]
    assert tfadt.from_frame(polars.from_pandas(FRAME)).manifest["fingerprint"] == fingerprint
    assert tfadt.ingest(pyarrow.Table.from_pandas(FRAME)).manifest["fingerprint"] == fingerprint


@pytest.mark.parametrize("unused", [[[1, 2]] * 48, [{"a": 1}] * 48, [b"x"] * 48, [np.zeros(2)] * 48])
def test_a_column_that_is_not_used_may_hold_anything(unused: list[object]) -> None:
    frame = FRAME.assign(genres=unused)
    assert pairs(tfadt.from_frame(frame)) == expected(ratings())
    with pytest.raises(DataError, match=r"'genres'.*Expected text, numbers or dates|'genres' expects text"):
        tfadt.ingest(frame, columns={"item": "genres"})


@pytest.mark.parametrize(
    ("given", "hint"),
    [({"user_id": [1]}, r"pandas\.DataFrame\(rows\)"), ("log.csv", r"ingest\(path\)"), (3, "Received: int")],
)
def test_what_is_no_frame_is_refused_with_what_to_pass(given: object, hint: str) -> None:
    with pytest.raises(DataError, match=rf"expects a DataFrame.*{hint}"):
        tfadt.from_frame(given)
