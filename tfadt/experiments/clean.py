"""A clean log: the training clicks without those that the noise model finds most likely to be disliked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tfadt.config import Config
from tfadt.config.loading import with_settings
from tfadt.data.interactions import InteractionData
from tfadt.denoising.noise_model import NoiseBiases, NoiseModel
from tfadt.errors import DataError
from tfadt.evaluation.expected import ExpectedEvaluator
from tfadt.evaluation.protocol import of_sampled_users
from tfadt.evaluation.rules import BY_RECALL, selection_k, selection_rule, validation_rows
from tfadt.experiments.strength import choose
from tfadt.registry import PLAIN
from tfadt.training.plan import Plan
from tfadt.training.progress import Progress
from tfadt.training.stages import train

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)
"""Shares of the clicks that are tried to be left out."""


def clean_rows(
    model: str, seed: int, data: InteractionData, config: Config, progress: Progress | None = None
) -> tuple[np.ndarray, str]:
    """Returns which training clicks stay, bool `[n]`, and why that many.

    The model is trained plainly without the 0, 5, 10, 20 and 30 % of the clicks whose p is largest, and the share is chosen
    by the rule of the automatic strength (`tfadt.experiments.strength.choose`).

    Args:
        model: Registered name.
        seed: Seed of its trainings.
        data: The data set.
        config: The settings.
        progress: Hears how the trainings go on.

    Raises:
        DataError: If the known clicks do not suffice for a noise model, or there is no validation to choose on.
    """
    if not len(data.valid):
        raise DataError("How many clicks are left out is chosen on validation. Received: no validation interactions.")
    noise = NoiseModel.fit(data.train, data.num_users, data.num_items)
    p = noise.probabilities(data.train)
    judge = NoiseBiases.fit(data.train, data.num_users, data.num_items)
    valid = of_sampled_users(data.valid, config)
    evaluator = ExpectedEvaluator(valid, judge.probabilities(valid), data.history(), config.evaluate.k[0])
    rule = selection_rule(config.adt.selection, data)
    if rule in BY_RECALL:  # as the whole log has it: parts of it know other shares, and would select by other rules
        config = with_settings(config, {"adt.selection": "val_recall", "evaluate.select_k": selection_k(config, data)})
        data = replace(data, valid=validation_rows(rule, data))
    order = np.argsort(p, kind="stable")
    kept, found = [], []
    for share in SHARES:
        rows = np.zeros(len(p), bool)
        rows[order[: len(p) - int(share * len(p))]] = True
        part = replace(data, train=data.train.take(rows))
        trained = train(Plan(model, PLAIN, seed), part, config, progress=progress)
        kept.append(rows)
        found.append(evaluator(trained.model))
    best, why = choose(found, config.denoising.max_recall_loss)
    return kept[best], f"{SHARES[best]:.0%} of the clicks left out: {why}"
