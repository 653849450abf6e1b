"""Interactions grouped by user or by item: means and softmaxes of each group, over numpy columns."""

from __future__ import annotations

import numpy as np


class Groups:
    """The rows of each code, found once and used at the end of every epoch.

    Args:
        codes: int64 `[n]`, at least 0: the user or the item of each interaction.

    Attributes:
        codes: int64 `[g]`, those that occur, ascending.
        counts: int64 `[g]`, rows of each.
        of_row: int64 `[n]`, the position in `codes` of each row's code.
    """

    def __init__(self, codes: np.ndarray):
        self._order = np.argsort(codes, kind="stable")
        self.codes, self._starts, self.counts = np.unique(codes[self._order], return_index=True, return_counts=True)
        self.of_row = np.empty(len(codes), np.int64)
        self.of_row[self._order] = np.repeat(np.arange(len(self.codes)), self.counts)

    def rows(self, groups: slice) -> np.ndarray:
        """Returns the rows of some groups that follow each other, int64."""
        ends = np.append(self._starts, len(self._order))
        first, last, _ = groups.indices(len(self.codes))
        return self._order[ends[first] : ends[last]]

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Returns the mean of each group, float64 `[g]`."""
        total: np.ndarray = np.add.reduceat(values[self._order].astype(np.float64), self._starts)
        return total / self.counts

    def softmax(self, values: np.ndarray) -> np.ndarray:
        """Returns the softmax within each group times the size of the group, float64 `[n]`: its mean is 1."""
        values = values.astype(np.float64)
        exponentials = np.exp(values - np.maximum.reduceat(values[self._order], self._starts)[self.of_row])
        weights: np.ndarray = exponentials / self.mean(exponentials)[self.of_row]
        return weights

    def by_rank(self, values: np.ndarray, lowest: float, highest: float) -> np.ndarray:
        """Returns numbers on a line by the rank of each group's value, float64 `[g]`.

        Args:
            values: `[g]`.
            lowest: What the group with the smallest value gets.
            highest: What the group with the largest value gets; those between lie evenly between.
        """
        line = np.empty(len(values))
        line[np.argsort(values, kind="stable")] = np.linspace(lowest, highest, len(values))
        return line
