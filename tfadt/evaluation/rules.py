"""Which validation interactions select checkpoints and models: the rules of `adt.selection` that measure recall.

Importing this does not import TensorFlow.
"""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from tfadt.config import Config
from tfadt.data.interactions import InteractionData, Interactions
from tfadt.denoising.noise_model import NoiseBiases, is_learnable

BY_RECALL = ("val_recall", "clean_val_recall", "expected_val_recall")
"""The rules whose score is recall on validation, by which models are compared as well."""

ENOUGH_KNOWN = 200
"""Validation interactions known to be liked, from which on `auto` lets them alone select, where it cannot expect."""

_LEARNED: WeakKeyDictionary[InteractionData, NoiseBiases] = WeakKeyDictionary()


def selection_rule(rule: str, data: InteractionData) -> str:
    """Returns the rule that selects: for `auto`, the one that makes the most of what is known.

    Known is what extra feedback says (`known_positive`, `known_negative`), never what the ratings that define the clean test
    would say. Where all of validation is known there is nothing to expect; else a noise model tells how likely each
    interaction is liked, where training has what it learns from; else what is known alone selects, where that is enough.
    """
    if rule != "auto":
        return rule
    liked, disliked = data.valid.known_positive, data.valid.known_negative
    judged = 0 if liked is None else np.sum(liked if disliked is None else liked | disliked)
    if judged < len(data.valid) and is_learnable(data.train):
        return "expected_val_recall"
    return "val_recall" if liked is None or liked.sum() < ENOUGH_KNOWN else "clean_val_recall"


def selection_k(config: Config, data: InteractionData) -> int:
    """Returns the cut-off of the validation recall that selects: `evaluate.select_k`, else one of `evaluate.k`.

    In expectation all of validation counts, and the first selects, which verdicts are about. Else it is the largest: recall
    of the few who are known is mostly noise at a small one.
    """
    expected = selection_rule(config.adt.selection, data) == "expected_val_recall"
    return config.evaluate.select_k or config.evaluate.k[0 if expected else -1]


def validation_rows(rule: str, data: InteractionData) -> Interactions:
    """Returns the validation interactions that a rule measures recall on: all, or those known to be liked.

    For `expected_val_recall` all that are not known to be disliked, with `relevance`: 1 - p of the noise model.

    Raises:
        DataError: If that rule is to select and too little is known for a noise model.
    """
    rule, rows = selection_rule(rule, data), data.valid
    if rule == "clean_val_recall":
        return rows.take(np.zeros(len(rows), bool) if rows.known_positive is None else rows.known_positive)
    if rule == "expected_val_recall":
        if data not in _LEARNED:
            _LEARNED[data] = NoiseBiases.fit(data.train, data.num_users, data.num_items)
        relevance = 1 - _LEARNED[data].probabilities(rows)
        return replace(rows, relevance=relevance).take(relevance > 0)
    return rows
