"""What `recommend` returns: a table by ids, with the ranking in codes beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from tfadt.data.interactions import Vocabulary
from tfadt.evaluation.ranking import Ranking


class Recommendations(pd.DataFrame):
    """The best items of some users: columns `user_id` (or another name), `rank` (from 1), `item_id` and `score` (the logit).

    A table like any other, and every operation on it gives a plain DataFrame. What pandas has as a method, `items()`, is
    here also an array: the recommended items' codes.

    Args:
        users: The ids of the users, `[U]`.
        ranking: Their items and scores, in codes; rows are as long as there are items left.
        items: The ids of the items.
        column: What the first column is called.
    """

    _metadata: ClassVar[list[str]] = ["_codes"]  # where pandas looks for what is not a column

    def __init__(self, users: np.ndarray, ranking: Ranking, items: Vocabulary, column: str = "user_id"):
        owner, position = np.nonzero(ranking.items >= 0)
        columns = {
            column: users[owner],
            "rank": position + 1,
            "item_id": items.decode(ranking.items[owner, position]),
            "score": ranking.scores[owner, position],
        }
        super().__init__(columns)  # type: ignore[call-arg]  # The stubs of pandas know `__new__` alone.
        self._codes = ranking.items

    @property
    def items(self) -> ItemCodes:
        """The codes of the items, int64 `[U, k]`, best first, -1 where a user has no more; called, pandas's own method."""
        codes = self._codes.view(ItemCodes)
        codes.columns = super().items
        return codes


class ItemCodes(np.ndarray):
    """Item codes that take a call for pandas's `DataFrame.items`, which pandas itself relies on."""

    columns: Callable[[], Any]

    def __call__(self) -> Any:
        """Returns the table's columns, as `(name, column)`."""
        return self.columns()

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Any:
        """What is computed from the codes is a plain array, or a plain number; numpy calls this."""
        del context
        return array[()] if return_scalar else array
