"""The strengths of denoising that a run chose on validation, as its records have them, averaged over the seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfadt.experiments.comparison import methods
from tfadt.experiments.run import Run


def strength_frontiers(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Returns what each method whose strength was chosen could have had, and what it took.

    Returns:
        `model`, `policy`, `plan`, `seeds`, `k`, `reasons` (`why`, and of how many `seeds`), `auc` of the noise model (mean),
        `optimistic` (whether a seed's validation was known better than its training) and `candidates`: `policy`, `power`,
        `gamma`, `expected_recall` and `expected_false_share` on validation (means), and `chosen`, by how many seeds.
    """
    found = []
    for (model, policy, plan), own in methods(runs).items():
        records = [run.strength for run in own if run.strength is not None and run.strength["frontier"]]
        if not records:
            continue
        candidates = []
        for each in zip(*(record["frontier"] for record in records), strict=True):
            strength = {name: each[0][name] for name in ("policy", "power", "gamma")}
            means = {
                name: float(np.mean([one[name] for one in each])) for name in ("expected_recall", "expected_false_share")
            }
            candidates.append({**strength, **means, "chosen": sum(record["chosen"] == strength for record in records)})
        found.append(
            {
                "model": model,
                "policy": policy,
                "plan": plan,
                "seeds": len(records),
                "k": records[0]["k"],
                "reasons": [{"why": why, "seeds": seeds} for why, seeds in Counter(r["why"] for r in records).items()],
                "auc": float(np.mean([record["noise_model"]["auc"] for record in records])),
                "optimistic": any(record["optimistic"] for record in records),
                "candidates": candidates,
            }
        )
    return found


def why_no_strength(runs: Sequence[Run]) -> str | None:
    """Returns why no training chose its strength on validation; None where one did."""
    records = [run.strength for run in runs if run.strength is not None]
    if any(record["frontier"] for record in records):
        return None
    if records:
        return str(records[0]["why"])
    return "no training was under noise_model with its power and gamma left open"
