"""A stage of a model in closed form: it is solved once for each candidate's settings, of which validation chooses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import pandas as pd

from tfadt.config import Config
from tfadt.data.interactions import InteractionData, Interactions
from tfadt.evaluation.protocol import valid_evaluator
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.evaluation.rules import BY_RECALL, selection_k, selection_rule
from tfadt.models.closed_form import ClosedForm
from tfadt.training.progress import Progress
from tfadt.training.selection import SELECTION_SCORE


@dataclass(frozen=True)
class Solved:
    """What solving for a model gives.

    Attributes:
        candidates: One row a candidate: its settings and, where it was measured, its score.
        logs: The row of the candidate that was chosen, and what else was measured of it.
        rule: The rule that chose; `last` where there was one candidate and nothing to measure on.
        seconds: Wall time, validation included.
    """

    candidates: pd.DataFrame
    logs: dict[str, float]
    rule: str
    seconds: float

    @property
    def score(self) -> float | None:
        """The score of the candidate that was chosen; None where nothing was measured."""
        return self.logs.get(SELECTION_SCORE)


def solve(
    model: ClosedForm,
    rows: Interactions,
    data: InteractionData,
    config: Config,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    evaluator: RankingEvaluator | None = None,
    progress: Progress | None = None,
    label: str = "",
) -> Solved:
    """Solves for a model.

    Candidates are chosen by recall on validation as the rule measures it, also where a loss selects the checkpoints of other
    models: there is no loss that compares them, and `val_recall` chooses.

    Args:
        model: The model, whose policy says what each interaction weighs.
        rows: The interactions to solve for.
        data: The data set.
        config: The settings.
        callbacks: Told of one epoch, after which the model is solved.
        evaluator: Ranks the validation interactions of the rule, at cut-offs of which the one that selects is one; None to
            measure at that alone.
        progress: Hears the number of candidates before the first is solved.
        label: What it is called there.

    Raises:
        DataError: If there are several candidates and no validation, or no interaction of a weight above 0.
        OutOfMemoryError: If the solution does not fit into memory.
    """
    begun = time.perf_counter()
    k, rule = selection_k(config, data), selection_rule(config.adt.selection, data)
    rule = rule if rule in BY_RECALL else "val_recall"
    if evaluator is None and len(data.valid):
        evaluator = valid_evaluator(data, config)
    told = keras.callbacks.CallbackList(list(callbacks), model=model)
    (progress or Progress()).begin(label, len(model.candidates()))
    told.on_train_begin()
    told.on_epoch_begin(0)
    measure = None if evaluator is None else lambda: evaluator(model).metrics[f"recall@{k}"]
    found = pd.DataFrame(model.fit_interactions(rows, model.policy.interaction_weights(rows), measure))
    chosen = found.iloc[0 if evaluator is None else int(found[SELECTION_SCORE].to_numpy().argmax())]
    logs = {str(name): float(value) for name, value in chosen.items()}
    if evaluator is not None:
        logs |= {f"val_{name}": value for name, value in evaluator(model).metrics.items()}
    told.on_epoch_end(0, logs)
    told.on_train_end(logs)
    return Solved(found, logs, "last" if evaluator is None else rule, time.perf_counter() - begun)
