"""A measured figure beside its baseline, and how both are timed on a machine that others use too."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured.
        value: Ours, in `unit`.
        unit: Such as `ms/step`.
        baseline: What it is compared with, in words; empty for an absolute figure.
        baseline_value: Theirs, in `unit`; None for an absolute figure.
        ratio: The number that the target is about: a speed-up, a slow-down, or the value itself.
        target: What it must reach; None where nothing is asked.
        at_least: Whether more is better.
        aim: What would be good.
    """

    name: str
    value: float
    unit: str
    baseline: str
    baseline_value: float | None
    ratio: float
    target: float | None = None
    at_least: bool = True
    aim: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the target is reached."""
        if self.target is None:
            return True
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target


def speed_up(
    name: str, unit: str, ours: float, baseline: str, theirs: float, target: float | None = None, aim: float | None = None
) -> Figure:
    """Returns how many times faster than the baseline."""
    return Figure(name, ours, unit, baseline, theirs, theirs / ours, target, True, aim)


def cost(
    name: str, unit: str, ours: float, baseline: str, theirs: float, target: float | None = None, aim: float | None = None
) -> Figure:
    """Returns how many times dearer than the baseline."""
    return Figure(name, ours, unit, baseline, theirs, ours / theirs, target, False, aim)


def interleaved(work: dict[str, Callable[[], int]], rounds: int) -> dict[str, float]:
    """Times several things in turns and returns for each the least seconds a unit of work.

    The least of many short measurements is the one that others on the machine disturbed least, and taking turns lets all
    have the same chances.

    Args:
        work: Name -> what does some work and returns how many units it did. Each is called once before, untimed.
        rounds: Turns.
    """
    for do in work.values():
        do()
    best = dict.fromkeys(work, float("inf"))
    for _ in range(rounds):
        for name, do in work.items():
            begun = time.perf_counter()
            units = do()
            best[name] = min(best[name], (time.perf_counter() - begun) / units)
    return best
