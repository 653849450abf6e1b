"""Full ranking: users in blocks, scores and top-k on the device, seen items masked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, cast
from weakref import WeakKeyDictionary, proxy

import numpy as np
import pandas as pd
import tensorflow as tf

from tfadt.data.interactions import CSR, Interactions
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.false_positives import false_share
from tfadt.evaluation.kept import KeptBlocks
from tfadt.evaluation.metrics import anti_precision, coverage, novelty, ranking_metrics
from tfadt.evaluation.top_k import top_k
from tfadt.memory import available_memory
from tfadt.sampling.ragged import expand

_BLOCK_BYTES = 16 << 20  # more than 32 MB is new memory from the system at each call, which takes longer than the ranking
_FLOAT_BYTES = 4
NUM_GROUPS = 4

Told = Callable[[int, int], None]
"""Hears how many users are ranked, and of how many."""


class Scorer(Protocol):
    """Anything that scores all items for some users."""

    num_users: int
    num_items: int

    def score_users(self, users: tf.Tensor) -> tf.Tensor:
        """Returns float32 `[B, num_items]` for the users int64 `[B]`."""


class Ranking(NamedTuple):
    """The best items of some users.

    Attributes:
        items: int64 `[U, k]`, best first; -1 where fewer than k items are left.
        scores: float32 `[U, k]`; -inf where there is no item.
    """

    items: np.ndarray
    scores: np.ndarray


class ListScorer(Scorer, Protocol):
    """A scorer that finds the best items without the scores of all, such as one that has one list for everybody."""

    def rank_users(self, users: np.ndarray, k: int, exclude: CSR | None) -> Ranking:
        """Returns what sorting the scores would: equal ones by code, the lower first, excluded items left out.

        Args:
            users: int64 `[U]`.
            k: How many items a user, at most `num_items`.
            exclude: The items that are left out of each user's ranking, of all users; None for none.
        """


def block_size(width: int) -> int:
    """Returns how many users to rank at a time: `width` float32 of each fill 16 MB, or a quarter of the free memory."""
    free = available_memory()
    budget = _BLOCK_BYTES if free is None else min(_BLOCK_BYTES, free // 4)
    return max(1, budget // (_FLOAT_BYTES * width))


class Ranker:
    """Ranks all items for users, again and again as training goes on, without tracing a graph anew.

    Items of equal score are ranked by code, the lower first. A `ListScorer` ranks by itself.

    Args:
        scorer: The model; its present weights are read at each call.
        k: How many items a user; where the catalogue has fewer, rankings are padded.
        exclude: Items that are left out of each user's ranking; None for none.
        block: Users at a time; default by `block_size`.

    Attributes:
        block: Users at a time.

    Raises:
        ConfigError: If `k` or `block` is below 1.
    """

    def __init__(self, scorer: Scorer, k: int, exclude: CSR | None = None, block: int | None = None):
        if k < 1 or (block is not None and block < 1):
            raise ConfigError(f"k and the block size must be at least 1. Received: k={k}, block={block}.")
        self._k = k
        self._available = min(k, scorer.num_items)
        self._scorer = scorer
        self._exclude = exclude
        self._lists = hasattr(scorer, "rank_users")
        excluded = 0 if exclude is None else len(exclude.items) // max(scorer.num_users, 1)
        self.block = block or block_size(self._available + excluded if self._lists else scorer.num_items)

    @cached_property
    def function(self) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """The traced graph, from int64 user codes `[B]` to items, scores, and which users have undefined scores."""
        scorer, exclude, available, num_items = self._scorer, self._exclude, self._available, self._scorer.num_items
        # Variables, not constants: a constant is copied into the graph, which stops at 2 GB.
        offsets = None if exclude is None else tf.Variable(exclude.offsets, trainable=False, dtype=tf.int64)
        excluded = None if exclude is None else tf.Variable(exclude.items, trainable=False, dtype=tf.int64)

        # One signature for every block: a shorter last one must not trace again.
        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)], autograph=False)
        def rank_block(users: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            cells = None
            if offsets is not None and excluded is not None:
                starts = tf.gather(offsets, users)
                row, position = expand(starts, tf.gather(offsets, users + 1) - starts)
                cells = row * num_items + tf.gather(excluded, position)
            best, codes, undefined = top_k(scorer.score_users(users), available, num_items, cells)
            items = tf.where(tf.equal(best, -np.inf), tf.constant(-1, tf.int64), codes)
            return items, best, undefined

        # The concrete function: TensorFlow takes several models' functions for one that is traced too often, and warns.
        concrete: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]] = rank_block.get_concrete_function()
        return concrete

    def __call__(self, users: np.ndarray, told: Told | None = None, kept: KeptBlocks | None = None) -> Ranking:
        """Returns the ranking of the users int64 `[U]`.

        Args:
            users: Their codes.
            told: Hears after each block how many are ranked.
            kept: Where to keep the blocks of more than one, and where to go on with a ranking that was cut: it ends bit for
                bit as one that was not. None for nowhere.

        Raises:
            DataError: If a score is not a number.
        """
        items = np.full((len(users), self._k), -1, np.int64)
        scores = np.full((len(users), self._k), -np.inf, np.float32)
        begun = 0
        if kept is not None and len(users) > self.block:
            begun = kept.begin(self._digest(users), items, scores, self.block)
        for first in range(begun, len(users), self.block):
            rows = slice(first, first + self.block)
            items[rows, : self._available], scores[rows, : self._available] = self._rank(users[rows])
            if kept is not None and len(users) > self.block:
                kept.keep(items[rows], scores[rows])
            if told is not None:
                told(min(rows.stop, len(users)), len(users))
        return Ranking(items, scores)

    def _digest(self, users: np.ndarray) -> bytes:
        """Returns a digest of which items are ranked for which users."""
        digest = hashlib.sha256(repr((len(users), self._available)).encode())
        for codes in (users, *(() if self._exclude is None else (self._exclude.offsets, self._exclude.items))):
            digest.update(np.ascontiguousarray(codes, "<i8").data)
        return digest.digest()

    def _rank(self, users: np.ndarray) -> Ranking:
        if self._lists:
            return cast(ListScorer, self._scorer).rank_users(users, self._available, self._exclude)
        codes, best, undefined = (each.numpy() for each in self.function(tf.constant(users, tf.int64)))
        if undefined.any():
            raise DataError(
                "A ranking needs scores that are numbers (has training diverged?). "
                f"Received: NaN for user code {users[undefined.argmax()]}."
            )
        return Ranking(codes, best)


def rank(scorer: Scorer, users: np.ndarray, k: int, exclude: CSR | None = None, block: int | None = None) -> Ranking:
    """Ranks all items for some users once; `Ranker` says what the arguments mean."""
    return Ranker(scorer, k, exclude, block)(users)


def activity_groups(interactions: np.ndarray, groups: int = NUM_GROUPS) -> np.ndarray:
    """Sorts users by their number of interactions and cuts them into groups of equal total interactions.

    Args:
        interactions: int64 `[U]`, training interactions of each user.
        groups: How many; default four, as in the paper's Figure 7.

    Returns:
        int64 `[U]`: 0 for the least active group to `groups` - 1. A user belongs to the part of the interactions in which
        the middle of its own lies; users of equal activity are ordered by position.
    """
    order = np.argsort(interactions, kind="stable")
    ends = np.cumsum(interactions[order])
    total = max(int(ends[-1]), 1) if len(ends) else 1
    middle = ends - interactions[order] / 2
    found = np.empty(len(interactions), np.int64)
    found[order] = np.minimum((middle * groups / total).astype(np.int64), groups - 1)
    return found


@dataclass(frozen=True)
class Evaluation:
    """How well a model ranks the relevant items of a split.

    Attributes:
        metrics: Means over the users, such as `"recall@20"`, `"coverage@20"` over the catalogue, and where disliked pairs
            are known `"false_share@20"` over all judged hits.
        per_user: One row a user: `user` (code), `train_interactions`, `activity_group` (0 the least active) and the
            metrics. A user of whom only disliked items are known has `anti_precision@k` alone: its other metrics are NaN and
            its group is -1.
    """

    metrics: dict[str, float]
    per_user: pd.DataFrame

    def by_group(self, metric: str) -> list[float | None]:
        """Returns the mean of a metric in each activity group (the paper's Figure 7); None where a group is empty."""
        means = self.per_user.groupby("activity_group")[metric].mean()
        return [float(means[group]) if group in means.index else None for group in range(NUM_GROUPS)]


class RankingEvaluator:
    """Evaluates models on one split by full ranking over all items.

    It is made once and called again and again: the graph of a model is traced at its first call and dropped with it.

    Args:
        split: The relevant pairs; each user in it is ranked. A pair that occurs twice counts once, and each by its
            `relevance` where the split has that.
        exclude: Items that are left out of each user's ranking (seen in training, or in training and validation).
        ks: Cut-offs.
        activity: Training interactions of each user, int64 `[num_users]`; default: what `exclude` has.
        block: Users at a time; default by the memory there is.
        drop_empty: Leave out users whose relevant items are all excluded; by default they count, with zeros.
        disliked: Pairs of the split that are known to be disliked, for `anti_precision` and `false_share`; None for neither.
        clicks: Training clicks of each item, int64 `[num_items]`, for `novelty`; None for none.

    Attributes:
        ks: The cut-offs.
        users: The users that are ranked, int64 `[U]`, ascending: those with relevant or disliked pairs.

    Raises:
        ConfigError: If a cut-off is below 1 or there is none.
        DataError: If the split has no user to rank, or one that `exclude` does not have.
    """

    def __init__(
        self,
        split: Interactions,
        exclude: CSR,
        ks: Sequence[int],
        activity: np.ndarray | None = None,
        block: int | None = None,
        drop_empty: bool = False,
        disliked: Interactions | None = None,
        clicks: np.ndarray | None = None,
    ):
        self.ks = tuple(ks)
        if not self.ks or min(self.ks) < 1:
            raise ConfigError(f"Cut-offs must be at least 1, and one is needed. Received: {self.ks}.")
        self._num_users = len(exclude.offsets) - 1
        if len(split) and split.user.max() >= self._num_users:
            raise DataError(
                f"User codes of the split must be below {self._num_users}, the users of the excluded items. "
                f"Received: {split.user.max()}."
            )
        self._activity = exclude.counts if activity is None else activity
        self._block = block
        judged = [split.item] if disliked is None else [split.item, disliked.item]
        self._items_needed = 1 + int(max(items.max(initial=-1) for items in (*judged, exclude.items)))
        relevant = CSR.from_pairs(split.user, split.item, self._num_users, self._items_needed)
        counts = _not_excluded(relevant, exclude, self._items_needed) if drop_empty else relevant.counts
        if not counts.any():
            raise DataError(f"An evaluation needs at least one user with items to rank. Received: {len(split)} pairs.")
        self.users = np.flatnonzero(counts)
        self._disliked = None
        if disliked is not None:
            lists = CSR.from_pairs(disliked.user, disliked.item, self._num_users, self._items_needed)
            self.users = np.flatnonzero((counts > 0) | (lists.counts > 0))
            self._disliked = _rows(lists, self.users)
        self._exclude = exclude.only(self.users)  # of a sample of a large log's users, a hundredth of it
        self._relevant = _rows(relevant, self.users)
        grades = split.grades(self._items_needed)
        self._grades = None if grades is None else grades[_kept(relevant, self.users)]
        self._has_relevant = counts[self.users] > 0
        self._share = None if clicks is None else np.maximum(clicks, 0.5) / self._num_users
        self._rankers: WeakKeyDictionary[Scorer, Ranker] = WeakKeyDictionary()

    def __call__(self, scorer: Scorer, told: Told | None = None, kept: KeptBlocks | None = None) -> Evaluation:
        """Ranks all items for the split's users and compares with what is relevant.

        Args:
            scorer: The model.
            told: Hears after each block of users how many are ranked.
            kept: As in `Ranker`.

        Raises:
            DataError: If the model has other users or fewer items than the split, or a score is not a number.
        """
        return self.measure(self._top(scorer, told, kept), scorer.num_items)

    def measure(self, top: np.ndarray, num_items: int) -> Evaluation:
        """Compares rankings with what is relevant.

        Args:
            top: int64 `[U, K]` item codes of `users`, best first, K at least the largest cut-off; -1 where one is shorter.
            num_items: Size of the catalogue.
        """
        counted = self._has_relevant
        values = ranking_metrics(top, self._relevant, num_items, self.ks, self._grades)
        if self._share is not None:
            values |= novelty(top, self._share, self.ks)
        values = {name: np.where(counted, value, np.nan) for name, value in values.items()}
        activity, groups = self._activity[self.users], np.full(len(self.users), -1)
        groups[counted] = activity_groups(activity[counted])
        metrics = {name: float(value[counted].mean()) for name, value in values.items()}
        metrics |= {f"coverage@{k}": coverage(top[counted, :k], num_items) for k in self.ks}
        if self._disliked is not None:
            values |= anti_precision(top, self._disliked, num_items, self.ks)
            metrics |= {f"anti_precision@{k}": float(values[f"anti_precision@{k}"].mean()) for k in self.ks}
        columns = {"user": self.users, "train_interactions": activity, "activity_group": groups}
        per_user = pd.DataFrame({**columns, **values})
        if self._disliked is not None:
            metrics |= {f"false_share@{k}": false_share(per_user, k) for k in self.ks}
        return Evaluation(metrics, per_user)

    def recall(self, scorer: Scorer, told: Told | None = None) -> float:
        """Returns the mean of `recalls`."""
        return float(self.recalls(scorer, told).mean())

    def recalls(self, scorer: Scorer, told: Told | None = None) -> np.ndarray:
        """Returns the recall at the first cut-off of each user with relevant items; tells after each block of users."""
        k = self.ks[0]
        top = self._top(scorer, told)[:, :k]
        found = ranking_metrics(top, self._relevant, scorer.num_items, (k,), self._grades)[f"recall@{k}"]
        return found[self._has_relevant]

    def _top(self, scorer: Scorer, told: Told | None, kept: KeptBlocks | None = None) -> np.ndarray:
        if scorer not in self._rankers:
            if scorer.num_users != self._num_users or scorer.num_items < self._items_needed:
                raise DataError(
                    f"The model must have the split's {self._num_users} users and at least {self._items_needed} items. "
                    f"Received: {scorer.num_users} users and {scorer.num_items} items."
                )
            # By proxy, or the graph would keep the model that is to take it along.
            self._rankers[scorer] = Ranker(proxy(scorer), max(self.ks), self._exclude, self._block)
        return self._rankers[scorer](self.users, told, kept).items


def _rows(lists: CSR, users: np.ndarray) -> CSR:
    return CSR(np.concatenate([[0], np.cumsum(lists.counts[users])]), lists.items[_kept(lists, users)])


def _kept(lists: CSR, users: np.ndarray) -> np.ndarray:
    """Returns which items are those of the users, bool `[nnz]`."""
    kept = np.zeros(len(lists.counts), bool)
    kept[users] = True
    return np.repeat(kept, lists.counts)


def _not_excluded(relevant: CSR, exclude: CSR, num_items: int) -> np.ndarray:
    """Returns how many relevant items of each user are not excluded, int64 `[num_users]`."""
    owner, seen_by = (np.repeat(np.arange(len(lists.counts)), lists.counts) for lists in (relevant, exclude))
    left = ~np.isin(owner * num_items + relevant.items, seen_by * num_items + exclude.items)
    return np.bincount(owner[left], minlength=len(relevant.counts))
