"""A search as a whole: one for each model and policy, on one data set, with an equal budget; it can be gone on with."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from shlex import quote
from threading import Thread
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial as TunerTrial
from keras_tuner.engine.trial import TrialStatus

from tfadt.atomic import write_text
from tfadt.config import Config
from tfadt.config.loading import dump, load_config, settings_of
from tfadt.data import artifact
from tfadt.data.ingest import ingest
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError, first_line, reading, writing
from tfadt.experiments.plans import planned_methods, plans, reachable
from tfadt.training.folders import locked
from tfadt.training.plan import closed_form
from tfadt.training.processes import Passed, Tell, at_once, side_by_side
from tfadt.tuning import distribution
from tfadt.tuning.collide import collide_settings
from tfadt.tuning.distribution import Role, role
from tfadt.tuning.hypermodel import ADTHyperModel, searched_stages
from tfadt.tuning.objective import named_objective, objective_metric
from tfadt.tuning.oracles import make_oracle
from tfadt.tuning.processes import FreshProcess, tensorboard
from tfadt.tuning.progress import SearchProgress
from tfadt.tuning.results import FILE, Hyperparameters, Search, Trial
from tfadt.tuning.space import search_space
from tfadt.tuning.tuner import SearchTuner, reason, trial_settings

_MARKER = ".tfadt-search"
_CONFIG = "config.json"
_FOLDERS = ("data", "search", "logs")


def run_search(
    config: Config,
    out: Path,
    progress: SearchProgress | None = None,
    data: InteractionData | None = None,
    overwrite: bool = False,
    jobs: int | None = 1,
) -> Hyperparameters | None:
    """Ingests, searches for each model and policy of the configuration, and writes what `tfadt.tuning.results` says.

    Where keras-tuner's environment variables name a chief, this process is the chief or one of its workers.

    Args:
        config: The settings.
        out: Output folder.
        progress: Hears how the search goes on.
        data: The data set; default: what section `ingest` names.
        overwrite: Replace an earlier search in the folder.
        jobs: How many of the searches at once, each in a process of its own, to the same figures; None for as many as there
            are cores and memory for.

    Returns:
        What was found; None in a worker, whose chief has it.

    Raises:
        ConfigError: If a setting cannot be used, or the folder holds a search; raised before anything is trained.
        DataError: If the data cannot be used, or every trial failed.
    """
    listener = progress or SearchProgress()
    part = role()
    check(config, part)
    if not overwrite and not part.is_worker and (out / _CONFIG).is_file():
        raise ConfigError(
            f"{out} holds a search already. Go on with it: tfadt tune --resume {quote(str(out))}. Or replace it with "
            "--overwrite, or name another folder."
        )
    if data is None:
        data = ingest(config.ingest, listener.say, folder=out.absolute().parent)
    with _lock(out, part):
        if not part.is_worker:
            _begin(config, data, out)
        return _search_all(reachable(config, data), data, out, part, listener, jobs)


def resume_search(
    out: Path, trials: int | None = None, progress: SearchProgress | None = None, jobs: int | None = 1
) -> Hyperparameters | None:
    """Goes on with a search that was stopped or killed; a trial that it was in the midst of is made again.

    Args:
        out: The folder of the search.
        trials: Most trials of each model and policy from now on; default: as before.
        progress: Hears how the search goes on.
        jobs: As in `run_search`.

    Raises:
        DataError: If there is no such search, its data were changed, or every trial failed.
    """
    part = role()
    config = saved_config(out)
    if trials is not None:
        config = config.model_copy(update={"tune": config.tune.model_copy(update={"trials": trials})})
    check(config, part)
    if part.is_chief and trials is None and is_over(out):
        return Hyperparameters.load(out)  # there is nothing to wait for workers for
    with _lock(out, part):
        data = artifact.load(out / "data")
        if trials is not None and not part.is_worker:
            _keep_config(config, out)
        return _search_all(reachable(config, data), data, out, part, progress or SearchProgress(), jobs)


def can_go_on(out: Path) -> bool:
    """Returns whether the folder has a search that was begun and is not one in which every trial has failed."""
    return (out / _CONFIG).is_file() and not ((out / FILE).is_file() and Hyperparameters.load(out).best is None)


def is_over(out: Path) -> bool:
    """Returns whether the folder has what the search of one model and policy found; not where every trial failed."""
    return (out / FILE).is_file() and Hyperparameters.load(out).best is not None


def saved_config(out: Path) -> Config:
    """Returns the configuration of the search in a folder.

    Raises:
        DataError: If there is none.
    """
    path = out / _CONFIG
    if not path.is_file():
        raise DataError(f"{out} is not the folder of a search: it has no {_CONFIG}.")
    with reading(path):
        return load_config(base=json.loads(path.read_text(encoding="utf-8")))


def check(config: Config, part: Role | None = None) -> None:
    """Refuses what cannot be searched, before anything is read.

    Raises:
        ConfigError: If a name or a setting is unknown or cannot be searched.
    """
    plans(config)
    named_objective(config)
    searched_stages(config)
    if part is not None:
        part.check_port()
    solved = [model for model, _ in _pairs(config) if closed_form(model, config) is not None]
    if solved and config.tune.tuner == "hyperband":
        raise ConfigError(
            f"Setting 'tune.tuner': hyperband stops trials after some epochs, and the model '{solved[0]}' is solved in "
            "closed form, without any. Expected random, bayesian or grid, or other models. Received: hyperband."
        )
    for model, policy in _pairs(config):
        search_space(settings_of(config, model, policy), model, policy)
    if part is not None and part.name and len(_pairs(config)) > 1:
        raise ConfigError(
            "A search over several processes is of one model under one policy. Received: "
            f"{', '.join(f'{model} under {policy}' for model, policy in _pairs(config))}."
        )


def _pairs(config: Config) -> list[tuple[str, str]]:
    return list(dict.fromkeys((model, policy) for model, policy, _ in planned_methods(config)))


def _search_all(
    config: Config, data: InteractionData, out: Path, part: Role, listener: SearchProgress, jobs: int | None
) -> Hyperparameters | None:
    metric, k = objective_metric(config, data)
    found: list[Search] = []
    if part.is_worker:
        listener.say(f"Waiting for the chief at {part.address}")
        part.wait_for_chief()
    pairs = _pairs(config)
    if not part.name and (processes := at_once(jobs, len(pairs), len(data.train))) > 1:
        _search_side_by_side(config, pairs, out, processes, listener)
        listener = SearchProgress()  # it has heard of every trial
    for model, policy in pairs:
        tuner = _search(config, data, model, policy, out, part, listener)
        if part.is_worker:
            return None
        found.append(Search(model, policy, _trials(tuner, config)))
        result = Hyperparameters(f"val_{metric}@{k}", tuple(found), config)
        result.write(out, data)
    if result.best is None:
        reasons = dict.fromkeys(trial.reason for search in found for trial in search.trials)
        first = next(iter(reasons), "there was none")
        raise DataError(f"Every trial failed; {out / FILE} says how; only a new search tries them again. The first: {first}")
    return result


def _search_side_by_side(
    config: Config, pairs: Sequence[tuple[str, str]], out: Path, jobs: int, listener: SearchProgress
) -> None:
    """Makes the trials of several searches at once, each search in a process; what they leave is in the folder."""
    asked = dump(config)
    contents = {
        f"{model}-{policy}": {"config": asked, "model": model, "policy": policy, "out": str(out)} for model, policy in pairs
    }
    listeners = {name: listener.beside() for name in contents}
    for _ in side_by_side("tfadt.tuning.search:search_there", contents, jobs, listeners):
        pass


def search_there(content: Mapping[str, Any], tell: Tell) -> None:
    """Makes the trials of one search, in a process that another has started for it."""
    out = Path(content["out"])
    config = load_config(base=content["config"])
    listener: Any = Passed(tell)
    _search(config, artifact.load(out / "data"), content["model"], content["policy"], out, role(), listener)


def _search(
    config: Config, data: InteractionData, model: str, policy: str, out: Path, part: Role, listener: SearchProgress
) -> SearchTuner:
    hypermodel = ADTHyperModel(data, config, model, policy)
    name = hypermodel.name
    folder, logs = out / "search" / name, out / "logs" / name
    fresh = FreshProcess(config, model, policy, out / "data", folder, logs) if config.tune.fresh_processes else None
    # A chief and the parent of fresh processes train nothing themselves.
    own = partial(hypermodel.own_values, solve=fresh is None and not part.is_chief)
    oracle = make_oracle(config, hypermodel.objective, len(hypermodel.space), own)
    tuner = SearchTuner(oracle, hypermodel, folder, listener, fresh)
    listener.begin(name, hypermodel.objective.name)
    if part.is_chief:
        listener.say(f"{name}: waiting for workers at {part.address}")
    try:
        if part.is_chief:
            _serve(tuner, out, part, listener)
        else:
            tuner.search(verbose=0, callbacks=[tensorboard(logs)])
    except keras_tuner.errors.FatalError as error:
        raise DataError(f"The search of {name} cannot go on: {first_line(error)}") from error
    listener.end(name)
    return tuner


def _serve(tuner: SearchTuner, out: Path, part: Role, listener: SearchProgress) -> None:
    """Gives trials to workers until all are made; keras-tuner's chief would wait for ever for one that is not there.

    Raises:
        DataError: If no worker asks for a trial for an hour while none is at work.
    """
    ended: Queue[BaseException | None] = Queue()

    def search() -> None:
        try:
            tuner.search(verbose=0)
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    part.announce(out)
    begun = time.monotonic()
    Thread(target=search, daemon=True).start()
    while True:
        with suppress(Empty):
            error = ended.get(timeout=1)
            if error is not None:
                raise error
            return
        for name in tuner.oracle.give_up_silent(distribution.SILENCE):
            listener.say(f"{name} was not heard of for {distribution.SILENCE / 60:.0f} minutes and is given up")
        heard = max([begun, *tuner.oracle.heard.values()])
        if not tuner.oracle.ongoing_trials and time.monotonic() - heard > distribution.PATIENCE:
            minutes = f"{distribution.PATIENCE / 60:.0f} minutes"
            raise DataError(
                f"No worker of the chief at {part.address} has asked for a trial for {minutes}. "
                f"Start workers, then go on with: tfadt tune --resume {quote(str(out))}"
            )


def _trials(tuner: SearchTuner, config: Config) -> tuple[Trial, ...]:
    # A finetuned model is another than the trial's: it chooses from the whole grid of `collide` for itself.
    final = "finetune" not in config.adt.plans[0].split("+")
    return tuple(_trial(tuner.oracle.trials[name], tuner.hypermodel, final) for name in tuner.oracle.start_order)


def _trial(trial: TunerTrial, hypermodel: ADTHyperModel, final: bool) -> Trial:
    settings: dict[str, Any] = trial_settings(trial.hyperparameters.values)
    if trial.status != TrialStatus.COMPLETED:
        return Trial(trial.trial_id, settings, None, None, reason(trial))
    run = hypermodel.record(trial)
    if final:
        settings |= collide_settings(run.metrics)
    return Trial(trial.trial_id, settings, float(trial.score), run, None)


def _lock(out: Path, part: Role) -> AbstractContextManager[None]:
    """Keeps other searches out of the folder; a chief's workers come in."""
    return nullcontext() if part.is_worker else locked(out, _MARKER, "search", "tfadt tune")


def _begin(config: Config, data: InteractionData, out: Path) -> None:
    """Makes the (locked) folder ready for a new search, replacing an earlier one there."""
    with writing(f"The output folder {out}"):
        for path in [*out.glob("*.toml"), out / FILE, out / _CONFIG]:
            path.unlink(missing_ok=True)
        for folder in _FOLDERS:
            shutil.rmtree(out / folder, ignore_errors=True)
        artifact.save(data, out / "data")
        _keep_config(config, out)


def _keep_config(config: Config, out: Path) -> None:
    write_text(out / _CONFIG, json.dumps(dump(config), indent=2) + "\n")
