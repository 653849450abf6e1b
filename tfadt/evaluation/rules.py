"""Which validation interactions select checkpoints and models: the rules of `adt.selection` that measure recall.

Importing this does not import TensorFlow.
"""

from __future__ import annotations

import numpy as np

from tfadt.data.interactions import InteractionData, Interactions

BY_RECALL = ("val_recall", "clean_val_recall")
"""The rules whose score is recall on validation, by which models are compared as well."""

ENOUGH_KNOWN = 200
"""Validation interactions that are known to be liked, from which on `auto` lets them alone select."""


def selection_rule(rule: str, data: InteractionData) -> str:
    """Returns the rule that selects: for `auto`, recall on what is known to be liked where that is enough.

    Known is what extra feedback says (`known_positive`), never what the ratings that define the clean test would say.
    """
    if rule != "auto":
        return rule
    known = data.valid.known_positive
    return "val_recall" if known is None or known.sum() < ENOUGH_KNOWN else "clean_val_recall"


def validation_rows(rule: str, data: InteractionData) -> Interactions:
    """Returns the validation interactions that a rule measures recall on: those known to be liked, or all."""
    if selection_rule(rule, data) != "clean_val_recall":
        return data.valid
    known = data.valid.known_positive
    return data.valid.take(np.zeros(len(data.valid), bool) if known is None else known)
