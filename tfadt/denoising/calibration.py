"""How good probabilities are: AUC with its interval, Brier score, and the reliability table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

_BINS = 10
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Calibration:
    """Probabilities of clicks that were held out, held against what the clicks are.

    Attributes:
        auc: Chance that a disliked click has the larger p of two, one of each sign.
        auc_interval: Its 95 % interval, by DeLong's variance.
        brier: Mean squared error of p.
        brier_of_mean: The same for the share of disliked clicks as everybody's p.
        reliability: Tenths of the clicks by p: `(mean p, share disliked, number of clicks)`.
    """

    auc: float
    auc_interval: tuple[float, float]
    brier: float
    brier_of_mean: float
    reliability: tuple[tuple[float, float, int], ...]

    @classmethod
    def of(cls, disliked: np.ndarray, probability: np.ndarray) -> Calibration:
        """Measures probabilities.

        Args:
            disliked: bool `[n]`, both signs among them.
            probability: float64 `[n]`.
        """
        auc, error = _auc(disliked, probability)
        width = error * stats.norm.ppf((1 + _CONFIDENCE) / 2)
        share = disliked.mean()
        parts = np.array_split(np.argsort(probability, kind="stable"), min(_BINS, len(disliked)))
        return cls(
            auc=auc,
            auc_interval=(float(max(auc - width, 0)), float(min(auc + width, 1))),
            brier=float(np.mean((probability - disliked) ** 2)),
            brier_of_mean=float(share * (1 - share)),
            reliability=tuple((float(probability[p].mean()), float(disliked[p].mean()), len(p)) for p in parts),
        )

    def as_dict(self) -> dict[str, Any]:
        """Returns everything, JSON-ready."""
        return {
            "auc": self.auc,
            "auc_interval": list(self.auc_interval),
            "brier": self.brier,
            "brier_of_mean": self.brier_of_mean,
            "reliability": [list(row) for row in self.reliability],
        }


def _auc(disliked: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Returns the AUC and its standard error (DeLong et al. 1988), by the ranks of each sign among all and its own."""
    ranks = stats.rankdata(probability)
    shares = []
    for own in (disliked, ~disliked):
        others = np.count_nonzero(~own)
        shares.append((ranks[own] - stats.rankdata(probability[own])) / others)
    variance = sum(np.var(each, ddof=1) / len(each) for each in shares)
    return float(shares[0].mean()), float(np.sqrt(variance))
