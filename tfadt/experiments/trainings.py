"""The trainings of a run: one after the other in this process, or several at once, to the same figures.

Each training leaves its files in the run's folder, so a process that is given a plan needs the folder alone.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from tfadt.config import Config
from tfadt.data import artifact
from tfadt.data.interactions import InteractionData
from tfadt.errors import DivergedError
from tfadt.evaluation.kept import KeptBlocks
from tfadt.evaluation.protocol import test_evaluator, valid_evaluator
from tfadt.evaluation.ranking import RankingEvaluator, Told
from tfadt.experiments.folder import RunFolder
from tfadt.experiments.layout import Layout
from tfadt.experiments.plans import plans, reachable
from tfadt.experiments.run import Run
from tfadt.experiments.shared_trainings import hand_over
from tfadt.experiments.strength import has_automatic_strength, train_at_best_strength
from tfadt.models.closed_form import ClosedForm
from tfadt.models.recommender import Recommender
from tfadt.registry import MODELS
from tfadt.training.model_files import fingerprint
from tfadt.training.plan import Plan, build_settings
from tfadt.training.processes import Passed, Tell, side_by_side
from tfadt.training.progress import Progress
from tfadt.training.stages import Trained, train

Kept = tuple[Run, pd.DataFrame]
"""The record of a training that is finished, and the logs of its epochs."""


def measure(
    run: Run,
    model: Recommender,
    data: InteractionData,
    config: Config,
    evaluator: RankingEvaluator,
    told: Told | None = None,
    kept: KeptBlocks | None = None,
) -> Run:
    """Returns the record of a training with what its model reaches on the test and, where there is one, on validation.

    Args:
        run: The record so far.
        model: The model.
        data: The data set.
        config: The settings.
        evaluator: Ranks the test.
        told: Hears how far the rankings are.
        kept: Keeps what is ranked of the test; None to begin it anew.
    """
    begun = time.perf_counter()
    if len(data.valid):
        run = run.validated(valid_evaluator(data, config).recalls(model, told))
    evaluation = evaluator(model, told, kept)
    return run.measured(evaluation, time.perf_counter() - begun)


def train_one_by_one(
    folder: RunFolder, todo: Sequence[Plan], data: InteractionData, config: Config, listener: Progress
) -> Generator[tuple[Plan, Kept], None, None]:
    """Trains, ranks and keeps what is not finished yet, and yields every plan with what was kept of it."""
    evaluator = test_evaluator(data, config)
    for plan in todo:
        yield plan, folder.finished(plan) or _train_and_keep(folder, plan, todo, data, config, evaluator, listener)


def train_side_by_side(
    folder: RunFolder, todo: Sequence[Plan], jobs: int, listener: Progress
) -> Generator[tuple[Plan, Kept], None, None]:
    """Does as `train_one_by_one` in several processes, and yields the plans as their trainings end.

    What takes long begins first, or it would be the last, with all other processes at rest.

    Args:
        folder: The run's, which has the settings and the data.
        todo: The plans.
        jobs: How many processes.
        listener: Hears how each training goes on.

    Raises:
        TfadtError: The first that a training raises. The others have stopped, with a checkpoint.
        InterruptedRunError: If a signal asked the run to stop. The trainings have stopped, with a checkpoint.
    """
    config = folder.config()
    left = {}
    for plan in todo:
        if (kept := folder.finished(plan)) is None:
            left[plan.name] = plan
        else:
            yield plan, kept
    left = dict(sorted(left.items(), key=lambda named: _pace(named[1], config)))
    contents = {name: {"folder": str(folder.out), "plan": name} for name in left}
    listeners = {name: listener.beside() for name in left}
    with closing(side_by_side("tfadt.experiments.trainings:train_there", contents, jobs, listeners)) as ended:
        for name, _ in ended:
            kept = folder.finished(left[name])
            if kept is None:
                raise RuntimeError(f"{folder.training(name)} was removed while the run went on.")
            yield left[name], kept


def _pace(plan: Plan, config: Config) -> tuple[bool, bool, bool]:
    """Returns what is less for what takes longer: candidates of a strength, scores pair by pair, steps, closed forms."""
    cls = build_settings("model", MODELS, plan.model, config)[0]
    return not has_automatic_strength(plan, config), cls.pairs_a_row is None, issubclass(cls, ClosedForm)


def train_there(content: Mapping[str, Any], tell: Tell) -> None:
    """Trains one plan of the run in a folder, in a process that another has started for it."""
    folder = RunFolder(Path(content["folder"]))
    config, data, evaluator = _opened(folder.out)
    todo = plans(reachable(config, data))
    (plan,) = (plan for plan in todo if plan.name == content["plan"])
    listener: Any = Passed(tell, seldom=("advance", "ranked"))
    _train_and_keep(folder, plan, todo, data, config, evaluator, listener)


@lru_cache(maxsize=1)
def _opened(out: Path) -> tuple[Config, InteractionData, RankingEvaluator]:
    folder = RunFolder(out)
    config = folder.config()
    data = artifact.load(folder.data)
    return config, data, test_evaluator(data, config)


def _train_and_keep(
    folder: RunFolder,
    plan: Plan,
    todo: Sequence[Plan],
    data: InteractionData,
    config: Config,
    evaluator: RankingEvaluator,
    listener: Progress,
) -> Kept:
    trained = _train(folder, plan, data, config, listener)
    kept = KeptBlocks(folder.ranking(plan.name), lambda: fingerprint(trained.model))
    run = measure(Run.of(plan, trained), trained.model, data, config, evaluator, listener.ranked, kept)
    epochs = folder.keep(plan, trained, run)
    hand_over(folder, plan, todo, config)
    folder.checkpoint_store(plan).clear()
    # Each training builds graphs of its own; without this they would pile up over a long run.
    keras.backend.clear_session()
    return run, epochs


def _train(folder: RunFolder, plan: Plan, data: InteractionData, config: Config, listener: Progress) -> Trained:
    start = config.adt.start_from
    weights = None if start is None else Layout(start).model(plan.name)
    try:
        begin = train_at_best_strength if has_automatic_strength(plan, config) else train
        return begin(plan, data, config, folder.logs(plan.name), listener, folder.checkpoint_store(plan), weights)
    except DivergedError as error:
        path = folder.keep_batch(plan, error)
        raise DivergedError(f"{plan.name}: {error} It is in {path}.", error.step, error.batch) from error
