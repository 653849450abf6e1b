"""How a served model tells noise: the place of a loss among those of the training positives, and what that place means.

Places go by the negative logit, of which the loss of a positive is an increasing function: in float32 many losses of near
ln 2 are equal whose logits are not.

A place is no probability. It becomes one where feedback is known: the share of false positives among the training
positives about as far up, made monotone (isotonic regression), for a larger loss never makes a false positive less likely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

_PLACES = 10_000
_ROWS_A_BIN = 50
_BINS = 100


@dataclass(frozen=True)
class NoiseScale:
    """What the `denoise` signature measures with.

    Attributes:
        steps: float32 `[m]`, ascending: the negative logits of all training positives, or 10,000 at equal steps of rank.
        probabilities: float32 `[bins]`, the probability of a false positive in each of so many equal parts of the scale;
            None where too little feedback is known to tell.
        known: How many training positives with known feedback the probabilities come from.
    """

    steps: np.ndarray
    probabilities: np.ndarray | None
    known: int


def noise_scale(logits: np.ndarray, false_positive: np.ndarray | None) -> NoiseScale:
    """Makes the scale.

    Args:
        logits: float32 `[n]`, the logit of each training positive, at least one.
        false_positive: bool `[n]`, or None where no feedback is known.
    """
    ordered = np.sort(-logits)
    places = max(2, min(len(ordered), _PLACES))  # a scale needs two ends
    ranks = np.linspace(0, len(ordered) - 1, places).round().astype(np.int64)
    known = 0 if false_positive is None else len(false_positive)
    bins = min(_BINS, known // _ROWS_A_BIN)
    if false_positive is None or bins < 2:
        return NoiseScale(ordered[ranks], None, known)
    share = np.searchsorted(ordered, -logits, side="left") / len(ordered)
    place = (share * bins).astype(np.int64)
    counts = np.bincount(place, minlength=bins)
    filled = np.flatnonzero(counts)  # equal logits can leave a bin empty
    means = np.bincount(place, false_positive, minlength=bins)[filled] / counts[filled]
    monotone = isotonic_regression(means, weights=counts[filled]).x
    return NoiseScale(ordered[ranks], np.interp(np.arange(bins), filled, monotone).astype(np.float32), known)
