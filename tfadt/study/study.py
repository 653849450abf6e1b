"""`tfadt study`: searches for the settings of every row, trains the winners with several seeds, and writes the page.

The folder of a study is that of a run (`tfadt.experiments.layout`), and holds besides:

study.json   what was asked for
seconds.json how long a training of each model takes here
search/      models/ and policies/: the searches (`tfadt.tuning.results`)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path
from typing import Any

from tfadt.atomic import write_text
from tfadt.config import Config
from tfadt.config.loading import dump, with_settings
from tfadt.data import artifact
from tfadt.data.ingest import ingest
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError, reading
from tfadt.experiments.experiment import resume_experiment, run_experiment
from tfadt.experiments.folder import RunFolder
from tfadt.experiments.layout import STUDY
from tfadt.experiments.plans import plans
from tfadt.experiments.report import write_report
from tfadt.experiments.run import Run
from tfadt.registry import PLAIN
from tfadt.report.page import write_page
from tfadt.study.progress import Countdown, CountedSearch, duration
from tfadt.study.rows import (
    counts,
    expected_of_models,
    impossible,
    of_models,
    of_policies,
    searched_policies,
    seconds_of_training,
    slowest,
    taken_over,
    trainings_of,
)
from tfadt.training.plan import applicable
from tfadt.training.processes import at_once
from tfadt.training.progress import Progress
from tfadt.tuning.objective import objective_metric
from tfadt.tuning.progress import SearchProgress
from tfadt.tuning.results import Search
from tfadt.tuning.search import can_go_on, check, resume_search, run_search

_SECONDS = "seconds.json"
_SEARCH, _OF_MODELS, _OF_POLICIES = "search", "models", "policies"

Listening = Callable[[], AbstractContextManager[Any]]


def run_study(
    config: Config,
    out: Path,
    searching: Listening,
    running: Listening,
    say: Callable[[str], None],
    jobs: int | None = 1,
    hours: float = inf,
) -> Path:
    """Makes a study, or goes on with the one that was begun in the folder with the same settings.

    Args:
        config: The settings: models, policies and seeds of `adt`, trials of `tune`.
        out: Its folder.
        searching: Gives a listener of the search, for as long as it lasts.
        running: Gives a listener of the trainings with the winners.
        say: Hears how the study goes on.
        jobs: How many searches and trainings at once, each in a process of its own, to the same figures; None for as many as
            there are cores and memory for.
        hours: Models are left out, the slowest first, until the study is expected to end within so many hours.

    Returns:
        The page.

    Raises:
        ConfigError: If a setting cannot be used, or the folder holds a study with other settings.
        DataError: If the data cannot be used, or every trial failed.
        DivergedError, InterruptedRunError, OutOfMemoryError: As in `run_experiment`.
    """
    check(config)
    with RunFolder(out).locked():
        _begin(config, out)
    search = out / _SEARCH
    if can_go_on(search / _OF_MODELS):
        data = artifact.load(search / _OF_MODELS / "data")
    else:
        data = ingest(config.ingest, say, folder=out.absolute().parent)
    left_out = impossible(config.adt.policies, data, config)
    policies = [policy for policy in config.adt.policies if policy not in left_out]
    asked = with_settings(config, {"adt.policies": policies})
    for policy, why in left_out.items():
        say(f"{policy} is left out: {why}.")
    processes = at_once(jobs, len(plans(asked)), len(data.train))
    seconds = _seconds(asked, data, out)
    too_slow = slowest(expected_of_models(asked, seconds), hours * 3600 * processes)
    for model, expected in too_slow.items():
        left_out[model] = f"about {duration(expected / processes)} are expected of it, and all is to end within {hours:g} h"
        say(f"{model} is left out: {left_out[model]} (--hours).")
    asked = with_settings(asked, {"adt.models": [model for model in asked.adt.models if model not in too_slow]})
    countdown = _countdown(asked, seconds, processes, say)
    with searching() as listener:
        found = _search(asked, data, search, CountedSearch(listener, countdown), jobs)
    winners = with_winners(asked, found, search / _OF_MODELS / "data")
    tuned = _told(asked, found, left_out)

    def keep_report(data: InteractionData, runs: list[Run], newest: Run) -> None:
        write_report(winners, data, runs, out, tuned=tuned)
        countdown.training_over(f"{newest.model}-{newest.policy}", newest.seconds)

    with running() as listener:
        data, runs = _train(winners, out, listener, keep_report, jobs)
    return write_page(write_report(winners, data, runs, out, tuned=tuned), out, "tfadt study")


def with_winners(config: Config, found: Sequence[Search], data: Path) -> Config:
    """Returns the settings of the run: each row with those that won; a model whose trials all failed is left out.

    The settings of a model and of its training are those of its plain training, whatever the policy: rows of one model
    differ in the policy alone.

    Args:
        config: The settings of the study.
        found: The searches.
        data: The folder of the data set.
    """
    best = {(each.model, each.policy): each.best for each in found}
    rows: dict[str, dict[str, Any]] = {}
    for model in config.adt.models:
        plain = best.get((model, PLAIN))
        if plain is None:
            continue
        for policy in applicable(model, config.adt.policies, config):
            own = best.get(taken_over(model, policy, config))
            rows[f"{model}-{policy}"] = plain.settings | ({} if own is None else own.settings)
    return with_settings(
        config,
        {
            **{f"ingest.{name}": None for name in ("train", "valid", "test", "dataset")},
            "ingest.simulate": False,
            "ingest.data": [str(data)],
            "adt.trainings": list(rows),
            "method": _methods(config, rows),
        },
    )


def _methods(config: Config, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the section `method` with the settings of rows on top of what it has for them and for their models."""
    of_models = {model: config.method[model] for model in config.adt.models if model in config.method}
    return of_models | {row: {**config.method.get(row, {}), **settings} for row, settings in rows.items()}


def _begin(config: Config, out: Path) -> None:
    """Keeps what is asked for; other settings are refused once there is a search, and before that begin anew."""
    path = out / STUDY
    asked = json.loads(json.dumps(dump(config)))
    if path.is_file():
        with reading(path):
            earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier == asked:
            return
        if (out / _SEARCH).exists():
            raise ConfigError(
                f"{out} holds a study with other settings ({path}). Expected a new folder, or the same settings to go on."
            )
        (out / _SECONDS).unlink(missing_ok=True)
    write_text(path, json.dumps(asked, indent=2) + "\n")


def _search(config: Config, data: InteractionData, out: Path, listener: SearchProgress, jobs: int | None) -> list[Search]:
    """Searches for the settings of each model, trained plainly; then, with those, for the settings of each policy."""
    plain: dict[str, dict[str, Any]] = {f"{model}-{PLAIN}": {} for model in config.adt.models}
    plainly = with_settings(of_models(config), {"adt.policies": [PLAIN], "method": _methods(config, plain)})
    found = list(_searched(plainly, data, out / _OF_MODELS, listener, jobs))
    best = {each.model: each.best for each in found if each.best is not None}
    pairs = [(model, policy) for model, policy in searched_policies(config) if model in best]
    if pairs:
        chosen = {
            "adt.models": list(dict.fromkeys(model for model, _ in pairs)),
            "adt.policies": list(dict.fromkeys(policy for _, policy in pairs)),
            "method": _methods(config, {f"{model}-{policy}": best[model].settings for model, policy in pairs}),
        }
        found += _searched(with_settings(of_policies(config), chosen), data, out / _OF_POLICIES, listener, jobs)
    return found


def _searched(
    config: Config, data: InteractionData, out: Path, listener: SearchProgress, jobs: int | None
) -> tuple[Search, ...]:
    if can_go_on(out):
        found = resume_search(out, None, listener, jobs)
    else:
        found = run_search(config, out, listener, data, overwrite=True, jobs=jobs)
    if found is None:
        raise DataError("A study searches in one process. Expected no chief of keras-tuner in the environment.")
    return found.searches


def _train(
    config: Config,
    out: Path,
    listener: Progress,
    keep_report: Callable[[InteractionData, list[Run], Run], None],
    jobs: int | None,
) -> tuple[InteractionData, list[Run]]:
    if RunFolder(out).holds(config):
        return resume_experiment(out, listener, keep_report, jobs)
    return run_experiment(config, out, listener, keep_report, jobs)


def _seconds(config: Config, data: InteractionData, out: Path) -> dict[str, tuple[float, float]]:
    """Measures, once for a study, what a training of each model takes, at least and at most."""
    path = out / _SECONDS
    if not path.is_file():
        measured = {model: seconds_of_training(model, data, config) for model in config.adt.models}
        write_text(path, json.dumps(measured) + "\n")
    with reading(path):
        return {model: tuple(seconds) for model, seconds in json.loads(path.read_text(encoding="utf-8")).items()}


def _countdown(
    config: Config, of_models: Mapping[str, tuple[float, float]], processes: int, say: Callable[[str], object]
) -> Countdown:
    """Says how long the study is about to take, and counts from there."""
    trials, trainings = counts(config)
    seconds = {}
    for model in config.adt.models:
        for policy in applicable(model, config.adt.policies, config):
            least, most = of_models[model]
            times = trainings_of(model, policy, config)
            seconds[f"{model}-{policy}"] = least * times, most * times
    countdown = Countdown(seconds, trials, trainings, processes, say)
    beside = f", in {processes} processes" if processes > 1 else ""
    say(
        f"{sum(trials.values())} trials in {len(trials)} searches, then {sum(trainings.values())} trainings with the "
        f"settings that won: about {countdown.span()} on this machine{beside}."
    )
    return countdown


def _told(config: Config, found: Sequence[Search], left_out: dict[str, str]) -> dict[str, Any]:
    """Returns what `results.json` says of the search."""
    searches = [
        {
            "model": each.model,
            "policy": each.policy,
            "plan": "adt",
            "trials": len(each.trials),
            "failed": sum(trial.score is None for trial in each.trials),
            "score": None if each.best is None else each.best.score,
            "reason": next((trial.reason for trial in each.trials if trial.reason), None),
        }
        for each in found
    ]
    return {
        "objective": "val_{}@{}".format(*objective_metric(config)),
        "trials": config.tune.trials,
        "seeds": config.adt.seeds,
        "left_out": left_out,
        "searches": searches,
    }
