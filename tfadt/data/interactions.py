"""Interactions as integer columns, the vocabularies behind them, and the user -> items index (CSR)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tfadt.errors import DataError

FLAGS = ("false_positive", "known_positive", "known_negative")
"""What may be known of an interaction, each a column of booleans or none."""
_BY_ROW = (*FLAGS, "relevance")
_PART = 1 << 22


@dataclass(frozen=True)
class Interactions:
    """Observed (user, item) pairs of one split, as codes; a pair occurs at most once.

    Attributes:
        user: int64 `[n]`, codes `0..num_users-1`.
        item: int64 `[n]`, codes `0..num_items-1`.
        false_positive: bool `[n]`, True where feedback says that the user disliked the item (the paper's section 3.1);
            None when no feedback is known.
        known_positive: bool `[n]`, True where extra feedback says that the user likes the item (section 3.4); None when
            there is no extra feedback, and always for test.
        known_negative: bool `[n]`, True where it says that the user dislikes the item.
        relevance: float64 `[n]`, above 0 and at most 1: how likely each is liked, for metrics that count it by as much; None
            where each counts fully.
    """

    user: np.ndarray
    item: np.ndarray
    false_positive: np.ndarray | None = None
    known_positive: np.ndarray | None = None
    known_negative: np.ndarray | None = None
    relevance: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.user.shape != self.item.shape or self.user.ndim != 1:
            raise DataError(
                f"user and item must be vectors of one length. Received: {self.user.shape} and {self.item.shape}."
            )
        for name in _BY_ROW:
            values = getattr(self, name)
            if values is not None and values.shape != self.user.shape:
                raise DataError(f"{name} must have one value a row ({self.user.shape}). Received: {values.shape}.")

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: np.ndarray) -> Interactions:
        """Returns the given rows (indices or a boolean mask)."""
        columns = (getattr(self, name) for name in _BY_ROW)
        return Interactions(self.user[rows], self.item[rows], *(None if each is None else each[rows] for each in columns))

    def grades(self, num_items: int) -> np.ndarray | None:
        """Returns `relevance` in the order of `CSR.from_pairs`, which keeps a repeated pair once; None without it."""
        if self.relevance is None:
            return None
        grades: np.ndarray = self.relevance[np.unique(self.user * num_items + self.item, return_index=True)[1]]
        return grades


@dataclass(frozen=True)
class Vocabulary:
    """External ids, in code order: `ids[code]` is the id. All ids are strings or all are int64."""

    ids: np.ndarray
    name: str = "id"

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.ids)

    @cached_property
    def _texts(self) -> pd.Index:
        return pd.Index(self.ids if self.ids.dtype.kind == "O" else self.ids.astype(str), dtype=object)

    def encode(self, ids: Any) -> np.ndarray:
        """Returns the codes of ids, int64 `[n]`; -1 for what is not in the vocabulary.

        Numbers and text are the same id where they are written alike: 7, 7.0 and "7". What is no id is unknown: 7.5, True, a
        missing value (None, NaN, `pd.NA`), and a float so large that it could stand for several integers.

        Args:
            ids: One-dimensional: a list, an array, or a pandas Series of any dtype.
        """
        # A list as objects: numpy would make floats of [2**60 + 1, None], and text of [7, "x"].
        values = np.asarray(ids, None if isinstance(ids, np.ndarray) else object)
        if values.dtype.kind == self.ids.dtype.kind == "i":
            return self._index.get_indexer(pd.Index(values)).astype(np.int64)
        if pd.api.types.infer_dtype(values, skipna=False) != "string":
            values = np.array([_written(value) for value in values], object)
        return self._texts.get_indexer(pd.Index(values, dtype=object)).astype(np.int64)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Returns the external ids of `codes`.

        Raises:
            DataError: If a code is out of range, such as the -1 that pads a ranking.
        """
        array = np.asarray(codes)
        if array.size and not (array.min() >= 0 and array.max() < len(self.ids)):
            raise DataError(
                f"{self.name} codes must lie in 0 .. {len(self.ids) - 1} (a ranking is padded with -1: leave those out). "
                f"Received: {array.min()} .. {array.max()}."
            )
        return self.ids[array]


def _written(value: Any) -> str | None:
    """Returns how an id is written; None for what is no id."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(int(value))
    if (
        isinstance(value, float | np.floating)
        and abs(value) < 2 ** (np.finfo(type(value)).nmant + 1)
        and value == int(value)
    ):
        return str(int(value))
    return None


@dataclass(frozen=True)
class CSR:
    """The items of each user, sorted: user u has `items[offsets[u]:offsets[u + 1]]`.

    Attributes:
        offsets: int64 `[num_users + 1]`.
        items: int64 `[nnz]`, ascending within each user, without repeats.
    """

    offsets: np.ndarray
    items: np.ndarray

    @classmethod
    def from_pairs(cls, user: np.ndarray, item: np.ndarray, num_users: int, num_items: int) -> CSR:
        """Builds the index; repeated pairs are kept once."""
        return cls.from_parts([(user, item)], num_users, num_items)

    @classmethod
    def from_parts(cls, parts: Sequence[tuple[np.ndarray, np.ndarray]], num_users: int, num_items: int) -> CSR:
        """Builds the index of the pairs of several splits, users and items int64 `[n]` each, as `from_pairs` does."""
        # In place: of a large log each copy of the keys is a gigabyte.
        keys = np.empty(sum(len(user) for user, _ in parts), np.int64)
        begin = 0
        for user, item in parts:
            part = keys[begin : begin + len(user)]
            np.multiply(user, num_items, out=part)
            part += item
            begin += len(user)
        keys.sort()
        # np.unique hashes (numpy 2.4), which takes ten times as long as the sort that is needed anyway.
        distinct = np.ones(len(keys), bool)
        np.not_equal(keys[1:], keys[:-1], out=distinct[1:])
        if not distinct.all():
            keys = keys[distinct]
        offsets = np.searchsorted(keys, np.arange(num_users + 1) * num_items)
        keys %= num_items
        return cls(offsets, keys)

    @property
    def counts(self) -> np.ndarray:
        """Number of items of each user, int64 `[num_users]`."""
        return np.diff(self.offsets)

    def only(self, users: np.ndarray) -> CSR:
        """Returns the items of the users int64 `[n]` alone; all others have none."""
        counts = self.counts
        kept = np.zeros(len(counts), bool)
        kept[users] = True
        if kept.all():
            return self
        return CSR(np.concatenate([[0], np.cumsum(np.where(kept, counts, 0))]), self.items[np.repeat(kept, counts)])


@dataclass(frozen=True, repr=False, eq=False)
class InteractionData:
    """What ingest hands to every later stage: three splits, two vocabularies and the account of every row.

    Attributes:
        train, valid, test: The splits. Train and valid hold every interaction; test true positives only, unless
            `ingest.clean_test` is off.
        users, items: Vocabularies of the ids that occur in training.
        manifest: Counts, row accounting, feedback rule, source and content fingerprint (JSON-serialisable).
        extra_feedback: D*, the pairs that are known to be liked, most of them training clicks and none of validation or
            test (the paper's section 3.4); None where nothing is known beyond the clicks. `with_extra_feedback` sets it.
        test_disliked: The false positives of the test split that a clean test leaves out, for metrics of disliked items;
            None where test is not clean.
    """

    train: Interactions
    valid: Interactions
    test: Interactions
    users: Vocabulary
    items: Vocabulary
    manifest: dict[str, Any] = field(default_factory=dict)
    extra_feedback: Interactions | None = None
    test_disliked: Interactions | None = None

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {len(getattr(self, name)):,}" for name in ("train", "valid", "test"))
        return f"<InteractionData: {self.num_users:,} users, {self.num_items:,} items; interactions: {splits}>"

    @property
    def num_users(self) -> int:
        """Number of users in training."""
        return len(self.users)

    @property
    def num_items(self) -> int:
        """Number of items in training."""
        return len(self.items)

    def history(self, *splits: str) -> CSR:
        """Returns the items of each user over `splits` (default: train)."""
        parts = [getattr(self, name) for name in splits or ("train",)]
        return CSR.from_parts([(part.user, part.item) for part in parts], self.num_users, self.num_items)

    def with_extra_feedback(self, extra: Interactions | None) -> InteractionData:
        """Returns the data with other extra feedback, its pairs marked as known positives among the training clicks.

        A click of such a pair is then no longer known to be disliked.
        """
        known, disliked = None, self.train.known_negative
        if extra is not None:
            known = np.zeros(len(self.train), bool)
            pairs = np.sort(extra.user * self.num_items + extra.item)
            # A part at a time: the keys of a large log are as large as the log.
            for start in range(0, len(known) if len(pairs) else 0, _PART):
                part = slice(start, start + _PART)
                keys = self.train.user[part] * self.num_items + self.train.item[part]
                known[part] = pairs[np.searchsorted(pairs, keys) % len(pairs)] == keys
            disliked = None if disliked is None else disliked & ~known
        return replace(self, extra_feedback=extra, train=replace(self.train, known_positive=known, known_negative=disliked))

    @cached_property
    def extra_feedback_ratio(self) -> np.ndarray:
        """Extra feedback / training clicks of each user, float64 `[num_users]` (the paper's section 5.3)."""
        if self.extra_feedback is None:
            return np.zeros(self.num_users)
        extra, clicks = (np.bincount(d.user, minlength=self.num_users) for d in (self.extra_feedback, self.train))
        ratio: np.ndarray = extra / np.maximum(clicks, 1)
        return ratio
