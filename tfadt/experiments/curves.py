"""What the epochs of a run show, averaged over its seeds: losses of true and false positives, and what was dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

_METHOD = ["model", "policy", "plan"]
LOSSES = ("true_positive_loss", "false_positive_loss")
DROPPED = ("drop_precision", "random_precision", "drop_recall", "random_recall")


def loss_curves(epochs: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns for each method the mean loss of true and false positives by epoch of ADT (the paper's Figures 2 and 8).

    Args:
        epochs: The logs of all trainings, one row an epoch.

    Returns:
        `model`, `policy`, `plan`, `epoch` (from 1) and a list for each of `LOSSES`; nothing without feedback.
    """
    return _curves(epochs, LOSSES, LOSSES[0])


def dropped_curves(epochs: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns for each method that dropped anything the precision and recall of it in each epoch (the paper's Figure 9).

    Precision is the share of false positives among the dropped, recall the share of the false positives that was dropped;
    `random_precision` and `random_recall` are those of as many positives dropped at random.

    Args:
        epochs: The logs of all trainings, one row an epoch.

    Returns:
        `model`, `policy`, `plan`, `epoch` (from 1) and a list for each of `DROPPED`; epochs without a drop have none.
    """
    if "drop_rate" not in epochs:
        return []
    dropping = epochs[epochs["drop_rate"] > 0]
    return _curves(dropping, DROPPED, DROPPED[0])


def solved_settings(epochs: pd.DataFrame, settings: Sequence[str]) -> dict[str, list[float]]:
    """Returns which values validation chose in each seed of a model in closed form.

    Args:
        epochs: The logs of the trainings of one method: a row for each candidate.
        settings: The columns of its settings.
    """
    if "selection_score" not in epochs or not len(epochs):
        return {}
    best = epochs.loc[epochs.groupby("seed")["selection_score"].idxmax().dropna()]
    return {name: [float(value) for value in best[name]] for name in settings if name in best and best[name].notna().all()}


def _curves(epochs: pd.DataFrame, columns: Sequence[str], needed: str) -> list[dict[str, Any]]:
    if needed not in epochs:
        return []
    of_adt = epochs[(epochs["stage"] == "adt") & epochs[needed].notna()]
    found = []
    for (model, policy, plan), own in of_adt.groupby(_METHOD, sort=False):
        means = own.groupby("epoch")[list(columns)].mean()
        lists = {name: [float(value) for value in means[name]] for name in columns}
        found.append({"model": model, "policy": policy, "plan": plan, "epoch": [int(e) + 1 for e in means.index], **lists})
    return [curve for curve in found if np.isfinite(np.array([curve[name] for name in columns], float)).all()]
