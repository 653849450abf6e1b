"""`tfadt study`: searches for the settings of every row, trains the winners with several seeds, and writes the page.

The folder of a study is that of a run (`tfadt.experiments.layout`), and holds besides:

study.json   what was asked for
seconds.json how long a training of each model takes here
search/      models/ and policies/: the searches (`tfadt.tuning.results`)
timed/       the data set, while that is measured
noisy/       a copy of the log with injected noise, as a data set
injected/    the run on it
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path
from typing import Any

from tfadt.atomic import write_text
from tfadt.config import Config
from tfadt.config.loading import dump, with_settings
from tfadt.config.training import method_name
from tfadt.data import artifact
from tfadt.data.ingest import ingest
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError, reading
from tfadt.experiments.collide import collide
from tfadt.experiments.experiment import AfterEach, OnEnd, resume_experiment, run_experiment
from tfadt.experiments.folder import RunFolder
from tfadt.experiments.layout import STUDY
from tfadt.experiments.plans import planned_methods, plans
from tfadt.experiments.report import deploy_lines, write_report
from tfadt.experiments.run import Run
from tfadt.experiments.saved import SavedRun
from tfadt.registry import PLAIN
from tfadt.report.page import write_page
from tfadt.study.injection import BY, Injection, caught, injected_config, plan_injection
from tfadt.study.progress import Countdown, CountedSearch, takes_too_long
from tfadt.study.rows import (
    Seconds,
    counts,
    expected_of_models,
    impossible,
    least,
    models,
    of_models,
    of_policies,
    rows,
    searched_policies,
    slowest,
    spared_controls,
    spelt_out,
    taken_over,
    trainings_of,
)
from tfadt.study.timing import seconds_of_trainings
from tfadt.training.plan import check_feedback
from tfadt.training.processes import at_once
from tfadt.training.progress import Progress
from tfadt.tuning.objective import objective_metric
from tfadt.tuning.progress import SearchProgress
from tfadt.tuning.results import Search
from tfadt.tuning.search import can_go_on, check, resume_search, run_search

_SECONDS = "seconds.json"
_SEARCH, _OF_MODELS, _OF_POLICIES = "search", "models", "policies"
_NOISY, _INJECTED, _TIMED = "noisy", "injected", "timed"

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
        config: The settings: models, policies, plans or trainings, and seeds of `adt`, trials of `tune`.
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
    config = spelt_out(config)
    check(config)
    with RunFolder(out).locked():
        _begin(config, out)
    search = out / _SEARCH
    if can_go_on(search / _OF_MODELS):
        data = artifact.load(search / _OF_MODELS / "data")
    else:
        data = ingest(config.ingest, say, folder=out.absolute().parent)
    left_out = impossible(list(dict.fromkeys(policy for _, policy in rows(config))), data, config)
    for policy, why in left_out.items():
        say(f"{policy} is left out: {why}.")
    asked = spelt_out(config, left_out)
    check_feedback(plans(asked), data, asked)
    processes = at_once(jobs, len(plans(asked)), len(data.train))
    seconds = _seconds(asked, data, processes, out)
    too_slow = slowest(expected_of_models(asked, seconds), hours * 3600 * processes)
    for model, expected in too_slow.items():
        left_out[model] = takes_too_long(expected / processes, hours)
        say(f"{model} is left out: {left_out[model]} (--hours).")
    asked = spelt_out(asked, too_slow)
    spent = sum(expected_of_models(asked, seconds).values()) / processes
    injection = plan_injection(asked, rows(config), data, seconds, out / _NOISY, processes, hours, spent)
    if injection.why is not None:
        say(f"No noise of known truth is injected: {injection.why}.")
    countdown = _countdown(asked, seconds, injection, processes, say)
    with searching() as listener:
        found = _search(asked, data, search, seconds, CountedSearch(listener, countdown), jobs)
    settings = _settings_of_rows(asked, found)
    scores = {each.model: each.best.score or 0.0 for each in found if each.policy == PLAIN and each.best is not None}
    for model, policy in spared_controls(asked, scores):
        settings.pop(f"{model}-{policy}", None)
        left_out[f"{model}-{policy}"] = "a control, which only the best model of those trained by steps has (study.controls)"
    countdown.follow(_trainings(asked, scores, injection))
    winners = with_winners(asked, settings, search / _OF_MODELS / "data")
    tuned = _told(asked, data, found, left_out)

    def keep_report(data: InteractionData, runs: list[Run]) -> None:
        write_report(winners, data, runs, out, tuned=tuned)

    def count(run: Run) -> None:
        countdown.training_over(f"{run.model}-{run.policy}", run.seconds)

    with running() as listener:
        data, runs = _train(winners, out, listener, jobs, count, keep_report)
        collided = collide(SavedRun.open(out), listener) if winners.collide.enabled else []
        injected = _train_on_noisy(injection, asked, settings, out, listener, countdown, jobs)
    results = write_report(winners, data, runs, out, collided, tuned, injected)
    for line in deploy_lines(runs, out):
        say(line)
    return write_page(results, out, "tfadt study")


def _settings_of_rows(config: Config, found: Sequence[Search]) -> dict[str, dict[str, Any]]:
    """Returns the settings of each row, such as `gmf-t_ce`, that won; a model whose trials all failed has none.

    The settings of a model and of its training are those of its plain training, whatever the policy: rows of one model
    differ in the policy alone.
    """
    best = {(each.model, each.policy): each.best for each in found}
    settings: dict[str, dict[str, Any]] = {}
    for model, policy in dict.fromkeys([*((model, PLAIN) for model in models(config)), *rows(config)]):
        plain, own = best[model, PLAIN], best.get(taken_over(model, policy, config))
        if plain is not None:
            settings[f"{model}-{policy}"] = plain.settings | ({} if own is None else own.settings)
    return settings


def with_winners(config: Config, settings: Mapping[str, Mapping[str, Any]], data: Path) -> Config:
    """Returns the settings of the run: each row with those that won.

    Args:
        config: The settings of the study.
        settings: Of each row; trainings of others are left out.
        data: The folder of the data set.
    """
    methods = [each for each in planned_methods(config) if f"{each[0]}-{each[1]}" in settings]
    return with_settings(
        config,
        {
            **{f"ingest.{name}": None for name in ("train", "valid", "test", "dataset")},
            "ingest.simulate": False,
            "ingest.data": [str(data)],
            "adt.trainings": [method_name(model, policy, "+".join(stages)) for model, policy, stages in methods],
            "method": _methods(config, {name: settings[name] for name in (f"{m}-{p}" for m, p, _ in methods)}),
        },
    )


def _methods(config: Config, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the section `method` with the settings of rows on top of what it has for them and for their models."""
    names = dict.fromkeys(row.rpartition("-")[0] for row in rows)
    return {model: config.method[model] for model in names if model in config.method} | {
        row: {**config.method.get(row, {}), **settings} for row, settings in rows.items()
    }


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
        shutil.rmtree(out / _NOISY, ignore_errors=True)
    write_text(path, json.dumps(asked, indent=2) + "\n")


def _search(
    config: Config, data: InteractionData, out: Path, seconds: Seconds, listener: SearchProgress, jobs: int | None
) -> list[Search]:
    """Searches for the settings of each model, trained plainly; then, with those, for the settings of each policy.

    The slowest model begins, so that the last search to end is a short one and no process waits for it for long. Colliding
    inference, of which warm-ups alone know, chooses for itself in the run.
    """
    slow_first = sorted(models(config), key=lambda model: -seconds[model][0])
    plain: dict[str, dict[str, Any]] = {f"{model}-{PLAIN}": {} for model in slow_first}
    alone = {"collide.enabled": False}
    plainly = with_settings(of_models(config), alone | {"adt.trainings": list(plain), "method": _methods(config, plain)})
    found = list(_searched(plainly, data, out / _OF_MODELS, listener, jobs))
    best = {each.model: each.best for each in found if each.best is not None}
    searched = sorted(searched_policies(config), key=lambda row: slow_first.index(row[0]))
    chosen = {f"{model}-{policy}": best[model].settings for model, policy in searched if model in best}
    if chosen:
        of_chosen = alone | {"adt.trainings": list(chosen), "method": _methods(config, chosen)}
        found += _searched(with_settings(of_policies(config), of_chosen), data, out / _OF_POLICIES, listener, jobs)
    order = [*((model, PLAIN) for model in models(config)), *searched_policies(config)]
    return sorted(found, key=lambda each: order.index((each.model, each.policy)))


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
    jobs: int | None,
    on_end: OnEnd,
    after_each: AfterEach | None = None,
) -> tuple[InteractionData, list[Run]]:
    if RunFolder(out).holds(config):
        return resume_experiment(out, listener, after_each, jobs, on_end)
    return run_experiment(config, out, listener, after_each, jobs, on_end)


def _train_on_noisy(
    injection: Injection,
    config: Config,
    settings: Mapping[str, Mapping[str, Any]],
    out: Path,
    listener: Progress,
    countdown: Countdown,
    jobs: int | None,
) -> dict[str, Any]:
    """Trains the policies on the log with injected noise, and returns what they catch of it, for the page."""
    plain = settings.get(f"{injection.model}-{PLAIN}")
    if injection.why is not None or plain is None:
        return {"why": injection.why or f"every trial of {injection.model} failed", "policies": []}
    names = [f"{injection.model}-{policy}" for policy in injection.policies]
    methods = _methods(config, {name: settings.get(name, plain) for name in names})
    noisy = injected_config(config, injection, methods, out / _NOISY)
    folder = out / _INJECTED
    listener.say(f"{injection.model} on a copy of the log with injected noise")

    data, runs = _train(noisy, folder, listener, jobs, lambda run: countdown.training_over(injection.row, run.seconds))
    write_page(write_report(noisy, data, runs, folder), folder)
    flags = data.train.false_positive
    assert flags is not None
    return {
        "why": None,
        "by": BY,
        "clicks": int(flags.sum()),
        "share": float(flags.mean()),
        "policies": caught(SavedRun.open(folder)),
    }


def _seconds(config: Config, data: InteractionData, processes: int, out: Path) -> Seconds:
    """Measures, once for a study, what a training of each model takes."""
    path = out / _SECONDS
    if not path.is_file():
        measured = seconds_of_trainings(models(config), data, config, processes, out / _TIMED)
        write_text(path, json.dumps(measured) + "\n")
    with reading(path):
        return {model: tuple(seconds) for model, seconds in json.loads(path.read_text(encoding="utf-8")).items()}


def _countdown(
    config: Config, of_models: Seconds, injection: Injection, processes: int, say: Callable[[str], object]
) -> Countdown:
    """Says how long the study is about to take, and counts from there."""
    trials, winning = counts(config, least(of_models))
    seconds = {injection.row: of_models[injection.model]} if injection.policies else {}
    for model, policy in (*((model, PLAIN) for model in models(config)), *rows(config)):
        times = trainings_of(model, policy, config)
        seconds[f"{model}-{policy}"] = of_models[model][0] * times, of_models[model][1] * times
    others = f", and {len(injection.policies)} on a copy of the log with injected noise" if injection.policies else ""
    countdown = Countdown(seconds, trials, _trainings(config, least(of_models), injection), processes, say)
    beside = f", in {processes} processes" if processes > 1 else ""
    say(
        f"{sum(trials.values())} trials in {len(trials)} searches, then {sum(winning.values())} trainings with the "
        f"settings that won{others}: about {countdown.span()} on this machine{beside}."
    )
    return countdown


def _trainings(config: Config, scores: Mapping[str, float], injection: Injection) -> dict[str, int]:
    """Returns how many trainings follow the searches: of each row, and on the noisy copy.

    Args:
        config: The settings of the study.
        scores: As in `spared_controls`.
        injection: The noisy copy.
    """
    _, trainings = counts(config, scores)
    return trainings | ({injection.row: len(injection.policies)} if injection.policies else {})


def _told(config: Config, data: InteractionData, found: Sequence[Search], left_out: dict[str, str]) -> dict[str, Any]:
    """Returns what `results.json` says of the search."""
    searches = [
        {
            "model": each.model,
            "policy": each.policy,
            "plan": "adt",
            "trials": len(each.trials),
            "tried": [{"settings": trial.settings, "score": trial.score} for trial in each.trials],
            "failed": sum(trial.score is None for trial in each.trials),
            "score": None if each.best is None else each.best.score,
            "reason": next((trial.reason for trial in each.trials if trial.reason), None),
        }
        for each in found
    ]
    return {
        "objective": "val_{}@{}".format(*objective_metric(config, data)),
        "trials": config.tune.trials,
        "seeds": config.adt.seeds,
        "left_out": left_out,
        "searches": searches,
    }
