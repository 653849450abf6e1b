"""A run: every model under every policy with every seed, on one data set, ranked by one protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from tfadt.config import Config
from tfadt.config.loading import dump, load_config, settings_of
from tfadt.data import artifact
from tfadt.data.ingest import ingest
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError, DivergedError
from tfadt.evaluation.protocol import test_evaluator, valid_evaluator
from tfadt.evaluation.ranking import RankingEvaluator, Told
from tfadt.experiments.comparison import Row, rows
from tfadt.experiments.folder import RunFolder
from tfadt.experiments.layout import Layout
from tfadt.experiments.plans import plans, reachable
from tfadt.experiments.run import POPULAR, Run, is_floor
from tfadt.experiments.saved import SavedRun
from tfadt.experiments.strength import check_candidates, train_at_best_strength
from tfadt.models.popular import Popular
from tfadt.models.recommender import Recommender
from tfadt.training.plan import Plan, check_feedback, is_automatic
from tfadt.training.progress import Progress
from tfadt.training.selection import check_selection
from tfadt.training.stages import Trained, train

AfterEach = Callable[[InteractionData, list[Run]], object]


def most_popular(data: InteractionData, evaluator: RankingEvaluator) -> Run:
    """Counts and ranks: the floor of a comparison that does not train it."""
    begun = time.perf_counter()
    model = Popular.from_interactions(data)
    model.fit_interactions(data.train)
    evaluation = evaluator(model)
    seconds = time.perf_counter() - begun
    return Run(model=POPULAR, metrics=evaluation.metrics, per_user=evaluation.per_user, seconds=seconds, has_model=False)


def measure(
    run: Run,
    model: Recommender,
    data: InteractionData,
    config: Config,
    evaluator: RankingEvaluator,
    told: Told | None = None,
) -> Run:
    """Returns the record of a training with what its model reaches on the test and, where there is one, on validation."""
    begun = time.perf_counter()
    if run.valid_recall is None and len(data.valid):
        validation = valid_evaluator(data, config.adt.selection, (config.evaluate.selection_k,))
        run = replace(run, valid_recall=validation.recall(model, told))
    evaluation = evaluator(model, told)
    return run.measured(evaluation, time.perf_counter() - begun)


def run_experiment(
    config: Config, out: Path, progress: Progress | None = None, after_each: AfterEach | None = None
) -> tuple[InteractionData, list[Run]]:
    """Ingests, trains every plan of the configuration, evaluates each on the test split and keeps what they leave.

    `tfadt.experiments.layout` says what is written to `out`. A run that was cut goes on with `resume_experiment`.

    Args:
        config: The settings.
        out: Output folder.
        progress: Hears how the run goes on.
        after_each: Called after each training with the data and the runs so far, so that a report can be kept up to date.

    Returns:
        The data set and the runs, the most popular items first.

    Raises:
        ConfigError: If a setting cannot be used; raised before anything is trained.
        DataError: If the data cannot be used.
        DivergedError, InterruptedRunError, OutOfMemoryError: As in `train`.
    """
    listener = progress or Progress()
    todo = plans(config)
    for plan in todo:
        if plan.seed == config.adt.seed and _is_automatic(plan, config):
            check_candidates(plan, config)
    _check_start(config, todo, out)
    folder = RunFolder(out)
    with folder.locked():  # before the data are read: a folder that cannot be had is told at once
        data = _carried_over(ingest(config.ingest, listener.say, folder=out.absolute().parent), config)
        todo = plans(reachable(config, data))
        _check_data(data, config, todo)
        folder.begin(config)
        artifact.save(data, folder.data)
        return data, _train_all(folder, config, todo, data, listener, after_each)


def resume_experiment(
    out: Path, progress: Progress | None = None, after_each: AfterEach | None = None
) -> tuple[InteractionData, list[Run]]:
    """Goes on with a run that was cut, from the newest checkpoint of the training it was in.

    On a CPU the weights and metrics are bit for bit those of a run that was not cut.

    Args:
        out: The run's folder.
        progress: As in `run_experiment`.
        after_each: As in `run_experiment`; also called if nothing is left to train.

    Returns:
        As `run_experiment`.

    Raises:
        DataError: If no run began there, or its data were changed.
        ConfigError, DivergedError, InterruptedRunError, OutOfMemoryError: As in `run_experiment`.
    """
    listener = progress or Progress()
    folder = RunFolder(out)
    config = folder.config()
    plans(config)
    with folder.locked():
        if artifact.is_artifact(folder.data):
            data = artifact.load(folder.data)
            todo = plans(reachable(config, data))
        else:  # cut while it read the data
            data = _carried_over(ingest(config.ingest, listener.say, folder=out.absolute().parent), config)
            todo = plans(reachable(config, data))
            _check_data(data, config, todo)
            artifact.save(data, folder.data)
        return data, _train_all(folder, config, todo, data, listener, after_each)


def evaluate_again(folder: Path, overrides: Sequence[str] = ()) -> tuple[Config, list[Row]]:
    """Returns the settings and the table of a run, evaluated afresh.

    Args:
        folder: The run's folder.
        overrides: Settings such as `evaluate.k=10,100` in place of the run's.

    Raises:
        DataError: If the run cannot be read.
        ConfigError: If a setting cannot be used.
    """
    saved = SavedRun.open(folder)
    config = load_config(None, overrides, dump(saved.config))
    evaluator = test_evaluator(saved.data, config)
    trained = saved.trained
    runs = [] if any(run.is_floor for run in trained.values()) else [most_popular(saved.data, evaluator)]
    for name, run in trained.items():
        untimed = replace(run, valid_recall=None, seconds=0.0)
        runs.append(measure(untimed, saved.load_model(name), saved.data, config, evaluator))
    return config, rows(runs)


def _check_data(data: InteractionData, config: Config, todo: Sequence[Plan]) -> None:
    check_selection(config.adt.selection, data)
    check_feedback(todo, data, config)
    config.collide.check_users(data.num_users)


def _train_all(
    folder: RunFolder,
    config: Config,
    todo: Sequence[Plan],
    data: InteractionData,
    listener: Progress,
    after_each: AfterEach | None,
) -> list[Run]:
    evaluator = test_evaluator(data, config)
    runs = []
    if not any(is_floor(plan.model, plan.policy, plan.stages) for plan in todo):
        runs.append(most_popular(data, evaluator))
        folder.keep_users(runs[0])
    logs: list[pd.DataFrame] = []
    for plan in todo:
        finished = folder.finished(plan)
        if finished is None:
            trained = _train(folder, plan, data, config, listener)
            run = Run.of(plan, trained)
            run = measure(run, trained.model, data, config, evaluator, listener.ranked)
            epochs = folder.keep(plan, trained, run)
            # Each training builds graphs of its own; without this they would pile up over a long run.
            keras.backend.clear_session()
        else:
            run, epochs = finished
        runs.append(run)
        logs.append(epochs)
        first = config.evaluate.k[0]
        listener.end(plan.name, f"recall@{first} {run.evaluation.metrics[f'recall@{first}']:.4f}, {run.seconds:.1f} s")
        folder.keep_epochs(pd.concat(logs, ignore_index=True))
        if after_each is not None:
            after_each(data, runs)
    return runs


def _train(folder: RunFolder, plan: Plan, data: InteractionData, config: Config, listener: Progress) -> Trained:
    start = config.adt.start_from
    weights = None if start is None else Layout(start).model(plan.name)
    try:
        begin = train_at_best_strength if _is_automatic(plan, config) else train
        return begin(plan, data, config, folder.logs(plan.name), listener, folder.checkpoint_store(plan), weights)
    except DivergedError as error:
        path = folder.keep_batch(plan, error)
        raise DivergedError(f"{plan.name}: {error} It is in {path}.", error.step, error.batch) from error


def _is_automatic(plan: Plan, config: Config) -> bool:
    return is_automatic(plan.policy, settings_of(config, plan.model, plan.policy))


def _check_start(config: Config, todo: Sequence[Plan], out: Path) -> None:
    start = config.adt.start_from
    if start is None:
        return
    if not Layout(start).model("").parent.is_dir():
        raise DataError(f"{start} is not the folder of an earlier run: it has no folder 'models'.")
    for plan in todo:
        if not Layout(start).model(plan.name).is_file():
            known = sorted(path.stem for path in Layout(start).model("").parent.glob("*.keras"))
            raise DataError(
                f"{start} has no model {plan.name} to start from. It has: {', '.join(known) or 'none'} (choose among "
                "them by adt.models, adt.policies, adt.plans and adt.seeds)."
            )
    if start.resolve() == out.resolve():
        raise ConfigError(f"A run cannot start from and write to the same folder. Received: {out}.")


def _carried_over(data: InteractionData, config: Config) -> InteractionData:
    """Returns the data with a note on how many users and items the run that is started from knows."""
    start = config.adt.start_from
    if start is None:
        return data
    earlier = artifact.load(Layout(start).data)
    counts = []
    for kind in ("users", "items"):
        ours, theirs = getattr(data, kind), getattr(earlier, kind)
        known = int(np.count_nonzero(theirs.encode(ours.ids) >= 0))
        counts.append(f"{known:,} {kind} taken over, {len(ours) - known:,} new, {len(theirs) - known:,} gone")
    note = f"started from {start}: {'; '.join(counts)}"
    return replace(data, manifest={**data.manifest, "notes": [*data.manifest["notes"], note]})
