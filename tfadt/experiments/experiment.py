"""A run: every model under every policy with every seed, on one data set, ranked by one protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pandas as pd

from tfadt.config import Config
from tfadt.config.loading import dump, load_config
from tfadt.data import artifact
from tfadt.data.ingest import ingest
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.protocol import test_evaluator
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.experiments.comparison import Row, rows
from tfadt.experiments.drift import carried_over
from tfadt.experiments.folder import RunFolder
from tfadt.experiments.layout import Layout
from tfadt.experiments.plans import plans, reachable
from tfadt.experiments.run import POPULAR, Run, is_floor
from tfadt.experiments.saved import SavedRun
from tfadt.experiments.strength import check_candidates, has_automatic_strength
from tfadt.experiments.trainings import Kept, measure, train_one_by_one, train_side_by_side
from tfadt.models.popular import Popular
from tfadt.training.plan import Plan, check_feedback
from tfadt.training.processes import at_once
from tfadt.training.progress import Progress
from tfadt.training.selection import check_selection

AfterEach = Callable[[InteractionData, list[Run]], object]
"""Hears the data and the runs so far, in the order of the plans, whenever there are more of them: of trainings at once those
before the first that goes on."""
OnEnd = Callable[[Run], object]
"""Hears of each training as it ends, of several at once in whatever order."""


def most_popular(data: InteractionData, evaluator: RankingEvaluator) -> Run:
    """Counts and ranks: the floor of a comparison that does not train it."""
    begun = time.perf_counter()
    model = Popular.from_interactions(data)
    model.fit_interactions(data.train)
    evaluation = evaluator(model)
    seconds = time.perf_counter() - begun
    return Run(model=POPULAR, metrics=evaluation.metrics, per_user=evaluation.per_user, seconds=seconds, has_model=False)


def run_experiment(
    config: Config,
    out: Path,
    progress: Progress | None = None,
    after_each: AfterEach | None = None,
    jobs: int | None = 1,
    on_end: OnEnd | None = None,
) -> tuple[InteractionData, list[Run]]:
    """Ingests, trains every plan of the configuration, evaluates each on the test split and keeps what they leave.

    `tfadt.experiments.layout` says what is written to `out`. A run that was cut goes on with `resume_experiment`.

    Args:
        config: The settings.
        out: Output folder.
        progress: Hears how the run goes on.
        after_each: Hears of the runs so far, so that a report can be kept up to date.
        jobs: How many trainings at once, each in a process of its own, to the same figures; None for as many as there are
            cores and memory for.
        on_end: Hears of each training as it ends.

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
        if plan.seed == config.adt.seed and has_automatic_strength(plan, config):
            check_candidates(plan, config)
    _check_start(config, todo, out)
    folder = RunFolder(out)
    with folder.locked():  # before the data are read: a folder that cannot be had is told at once
        data = _carried_over(ingest(config.ingest, listener.say, folder=out.absolute().parent), config)
        todo = plans(reachable(config, data))
        _check_data(data, config, todo)
        folder.begin(config)
        artifact.save(data, folder.data)
        return data, _train_all(folder, config, todo, data, listener, after_each, jobs, on_end)


def resume_experiment(
    out: Path,
    progress: Progress | None = None,
    after_each: AfterEach | None = None,
    jobs: int | None = 1,
    on_end: OnEnd | None = None,
) -> tuple[InteractionData, list[Run]]:
    """Goes on with a run that was cut, from the newest checkpoint of the training it was in.

    On a CPU the weights and metrics are bit for bit those of a run that was not cut.

    Args:
        out: The run's folder.
        progress: As in `run_experiment`.
        after_each: As in `run_experiment`; also called if nothing is left to train.
        jobs: As in `run_experiment`.
        on_end: As in `run_experiment`; a training that is finished has ended at once.

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
        return data, _train_all(folder, config, todo, data, listener, after_each, jobs, on_end)


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
        untimed = replace(run, seconds=0.0)
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
    jobs: int | None,
    on_end: OnEnd | None,
) -> list[Run]:
    runs: list[Run] = []
    if not any(is_floor(plan.model, plan.policy, plan.stages) for plan in todo):
        runs.append(most_popular(data, test_evaluator(data, config)))
        folder.keep_users(runs[0])
    unfinished = sum(not folder.training(plan.name).is_file() for plan in todo)
    processes = at_once(jobs, unfinished, len(data.train))
    if processes > 1:
        listener.say(f"{unfinished} trainings in {processes} processes")
        ended = train_side_by_side(folder, todo, processes, listener)
    else:
        ended = train_one_by_one(folder, todo, data, config, listener)
    first, finished, logs = f"recall@{config.evaluate.k[0]}", dict[str, Kept](), list[pd.DataFrame]()
    with closing(ended):
        for newest, kept in ended:
            run = kept[0]
            listener.end(newest.name, f"{first} {run.evaluation.metrics[first]:.4f}, {run.seconds:.1f} s")
            if on_end is not None:
                on_end(run)
            finished[newest.name] = kept
            # A report in the midst of a run is one that it could have had in one process.
            following = list(takewhile(finished.__contains__, (plan.name for plan in todo[len(logs) :])))
            if not following:
                continue
            runs += [finished[name][0] for name in following]
            logs += [finished[name][1] for name in following]
            folder.keep_epochs(pd.concat(logs, ignore_index=True))
            if after_each is not None:
                after_each(data, list(runs))
    return runs


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
    note = f"started from {start}: {carried_over(data, artifact.load(Layout(start).data))}"
    return replace(data, manifest={**data.manifest, "notes": [*data.manifest["notes"], note]})
