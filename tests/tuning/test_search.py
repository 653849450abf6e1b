"""A search as a whole: what it writes and a run reads, failures, kills, processes of its own, and several processes."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest
from full_disk import files_of_at_most
from keras_tuner.engine.trial import Trial
from soak import EVERY, SOAK

from tfadt.cli.main import main
from tfadt.components.artifacts.extra_feedback import ExtraFeedback
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.tune import tune
from tfadt.config.loading import load_config
from tfadt.data import artifact
from tfadt.data.ingest import ingest
from tfadt.errors import ConfigError, DataError
from tfadt.experiments.experiment import run_experiment
from tfadt.models.ease import EASE
from tfadt.registry import POLICIES
from tfadt.tuning.hypermodel import ADTHyperModel
from tfadt.tuning.oracles import make_oracle
from tfadt.tuning.progress import PrintedSearch, SearchProgress
from tfadt.tuning.results import Hyperparameters
from tfadt.tuning.search import resume_search, run_search
from tfadt.tuning.tuner import SearchTuner

SMALL = [
    "ingest.simulated.users=80",
    "ingest.simulated.items=40",
    "ingest.simulated.interactions=1200",
    "adt.models=gmf",
    "adt.policies=r_ce",
    "adt.preset=paper",
    "adt.epochs=2",
    "adt.batch_size=256",
    "evaluate.k=5,10",
    "evaluate.select_k=5",
    "model.gmf.embedding_dim=4",
    "tune.over=policy",
    "tune.space.policy.r_ce.beta=0.1,0.5,1.0",
    "tune.space.adt.learning_rate={min = 0.001, max = 0.1, log = true}",
]


def config(*overrides):
    return load_config(overrides=[*SMALL, *overrides])


class Heard(SearchProgress):
    def __init__(self):
        self.ended = []

    def trial_end(self, trial, score, reason, seconds):
        self.ended.append((trial, score, reason))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("search") / "out"
    heard = Heard()
    found = run_search(config("adt.policies=r_ce,standard", "tune.trials=2"), out, heard)
    return out, found, heard


def outcomes(found):
    return [(trial.settings, trial.score, trial.run.epoch) for search in found.searches for trial in search.trials]


def test_every_model_and_policy_gets_the_same_number_of_trials(finished):
    _, found, heard = finished
    assert [search.name for search in found.searches] == ["gmf-r_ce", "gmf-standard"]
    assert [len(search.trials) for search in found.searches] == [2, 2]
    assert [(trial, reason) for trial, _, reason in heard.ended] == [("0", None), ("1", None)] * 2
    assert found.objective == "val_recall@5"
    for search in found.searches:
        assert search.best.score == max(trial.score for trial in search.trials)
        assert {trial.run.metrics["val_recall@5"] for trial in search.trials} == {trial.score for trial in search.trials}
    assert "policy.r_ce.beta" not in found.searches[1].best.settings


def test_the_first_trial_of_a_search_has_the_configurations_own_values(tmp_path):
    (search,) = run_search(
        config("policy.r_ce.beta=0.5", "adt.learning_rate=0.02", "tune.trials=1"), tmp_path / "gmf"
    ).searches
    assert search.trials[0].settings == {"adt.learning_rate": 0.02, "policy.r_ce.beta": 0.5}
    solved = config("adt.models=ease", "adt.policies=standard", "tune.over=model", "tune.space={}", "tune.trials=1")
    (search,) = run_search(solved, tmp_path / "ease").searches
    assert search.trials[0].settings["model.ease.lambda_"] in EASE.grid["lambda_"]


def test_results_are_read_back_and_applied(finished):
    out, found, _ = finished
    loaded = Hyperparameters.load(out)
    assert outcomes(loaded) == outcomes(found)
    assert (loaded.objective, loaded.best.name) == (found.objective, found.best.name)
    best = found.searches[0].best.settings
    applied = loaded.apply(load_config(overrides=["adt.preset=paper", "adt.epochs=7"]), "gmf", "r_ce")
    assert applied.policy == {"r_ce": {"beta": best["policy.r_ce.beta"]}}
    assert (applied.adt.learning_rate, applied.adt.epochs) == (best["adt.learning_rate"], 7)
    assert (applied.adt.models, applied.adt.policies) == (("gmf",), ("r_ce",))
    with pytest.raises(DataError, match=r"no hyperparameters of neumf under t_ce. Known: gmf-r_ce, gmf-standard"):
        loaded.apply(applied, "neumf", "t_ce")


def test_a_run_with_the_best_settings_gets_the_score_that_the_search_says(finished, tmp_path):
    out, found, _ = finished
    for search in found.searches:
        settings = load_config(out / f"{search.name}.toml")
        _, runs = run_experiment(settings, tmp_path / search.name)
        assert [(run.model, run.policy) for run in runs[1:]] == [(search.model, search.policy)]
        assert runs[1].selection_score == search.best.score
        assert runs[1].best_step % search.best.run.epoch == 0
    assert load_config(out / "best.toml") == load_config(out / f"{found.best.name}.toml")


@pytest.mark.parametrize("plan", ["warmup+adt", "warmup+adt+finetune"] if EVERY else ["warmup+adt"])
def test_lambda_and_neighbours_are_found_for_the_model_that_the_search_trained(tmp_path, plan):
    grid = ["collide.enabled=true", "collide.neighbors=1,5", "collide.lambdas=0.5,1.0"]
    run_search(config(f"adt.plans={plan}", "warmup.epochs=1", "adt.epochs=1", "tune.trials=1", *grid), tmp_path / "out")
    collide = load_config(tmp_path / "out" / "best.toml").collide
    # A finetuned model is another one: for that the grid stays as it was.
    sizes = (2, 2) if plan.endswith("finetune") else (1, 1)
    assert (len(collide.neighbors), len(collide.lambdas)) == sizes


def test_a_finished_search_can_be_given_more_trials(finished, tmp_path):
    out = tmp_path / "out"
    run_search(config("tune.trials=1"), out)
    heard = Heard()
    more = resume_search(out, trials=2, progress=heard)
    assert [trial for trial, _, _ in heard.ended] == ["1"]
    assert outcomes(more) == outcomes(finished[1])[:2]
    assert outcomes(resume_search(out)) == outcomes(more)


def test_damaged_and_foreign_folders_are_told_in_one_sentence(tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no tfadt search"):
        run_search(config(), foreign)
    assert (foreign / "thesis.txt").read_text() == "mine"
    for read in (resume_search, Hyperparameters.load):
        with pytest.raises(DataError, match="is not the folder of a search"):
            read(foreign)
    (foreign / "hyperparameters.json").write_text('{"objective": 3}')
    with pytest.raises(DataError, match="is not the result of a search"):
        Hyperparameters.load(foreign)
    (foreign / "config.json").write_text('{"adt": {"epoch": 3}}')
    with pytest.raises(DataError, match=r"config\.json cannot be read: Unknown setting 'adt\.epoch'"):
        resume_search(foreign)


def test_a_search_in_which_all_fails_says_why_in_a_line_each(tmp_path, capfd):
    impossible = ["adt.policies=t_ce", "adt.epochs=1", "tune.over=[]", "tune.space.policy.t_ce.max_drop_rate=0.6,0.7"]
    impossible += ["tune.space.adt.learning_rate=[]"]
    message = r"Every trial failed; .* a new search tries them again\. .*max_drop_rate must be below the share of positives"
    with pytest.raises(DataError, match=message):
        run_search(config(*impossible), tmp_path / "out", PrintedSearch())
    out, err = capfd.readouterr()
    assert len([line for line in out.splitlines() if "failed: max_drop_rate" in line]) == 2
    assert "Traceback" not in out + err
    found = Hyperparameters.load(tmp_path / "out")
    assert found.best is None
    assert [trial.score for trial in found.searches[0].trials] == [None, None]


def test_a_step_whose_every_trial_failed_begins_anew(tmp_path, monkeypatch):
    settings = config("tune.trials=1")
    data = ingest(settings.ingest)
    Interactions(tmp_path / "interactions").write(data)
    ExtraFeedback(tmp_path / "extra_feedback").write(data)
    inputs = {name: tmp_path / name for name in ("interactions", "extra_feedback")}
    work = tmp_path / "work"
    work.mkdir()

    def search():
        found = tune.execute(inputs, {"hyperparameters": tmp_path / "found"}, {"settings": settings}, work)
        return found["hyperparameters"].summary()

    with monkeypatch.context() as another_process:
        another_process.setattr("tfadt.memory.available_memory", lambda: 1000)
        for _ in range(2):
            with pytest.raises(DataError, match="Every trial failed"):
                search()
    first = search()
    trial = work / "search" / "search" / "gmf-r_ce" / "trial_0" / "trial.json"
    written = trial.stat().st_mtime_ns
    assert search() == first
    assert trial.stat().st_mtime_ns == written  # a search with a trial that counts goes on


def test_a_search_that_was_killed_goes_on(finished, tmp_path):
    """By `kill -9` while the second trial runs; then the same trials with the same scores as without the kill."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tfadt", "tune", *(f"--set={s}" for s in SMALL), "--trials", "2", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            if "trial 0" in line:
                process.send_signal(signal.SIGKILL)
                break
    assert not (out / "hyperparameters.json").exists()
    heard = Heard()
    assert outcomes(resume_search(out, progress=heard)) == outcomes(finished[1])[:2]
    assert "0" not in [trial for trial, _, _ in heard.ended]


DEADLY = """
import os, signal
import keras
from tfadt.denoising.standard import Standard

@keras.saving.register_keras_serializable("test")
class Deadly(Standard):
    def __init__(self, danger: int = 0):
        self.danger = danger

    def prepare(self, total_steps, positive_share):
        if self.danger == 1:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_trials_in_processes_of_their_own_end_alone(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(POLICIES, "deadly", "deadly:Deadly")
    settings = ["adt.policies=deadly", "tune.space.adt.learning_rate=[]", "tune.tuner=grid", "adt.learning_rate=0.05"]
    heard = Heard()
    found = run_search(
        config(*settings, "tune.space.policy.deadly.danger=0,1", "tune.fresh_processes=true"), tmp_path / "fresh", heard
    )
    reasons = {trial.settings["policy.deadly.danger"]: trial.reason for trial in found.searches[0].trials}
    assert reasons == {0: None, 1: "Its process was ended by SIGKILL (is there enough memory?)."}
    here = run_search(config(*settings, "tune.space.policy.deadly.danger=[]"), tmp_path / "here")
    assert found.best.best.score == here.best.best.score


@SOAK
def test_a_trial_goes_on_in_a_process_of_its_own(tmp_path):
    settings = ["tune.tuner=hyperband", "tune.factor=2", "tune.space.adt.learning_rate=[]", "tune.fresh_processes=true"]
    found = run_search(config(*settings, "tune.space.policy.r_ce.beta=0.5"), tmp_path / "out")
    _, gone_on = found.searches[0].trials  # one epoch, then another
    _, runs = run_experiment(config("policy.r_ce.beta=0.5"), tmp_path / "run")
    assert runs[1].selection_score == gone_on.score
    assert runs[1].best_step % gone_on.run.epoch == 0


@pytest.mark.parametrize("reads", [True, False])
def test_a_process_that_ends_badly_says_its_last_line(tmp_path, monkeypatch, reads):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{'read task' if reads else 'exec 0<&-'}\necho no luck today >&2\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(DataError, match=r"Its process ended with code 3: no luck today \(see .*process\.log\)"):
        run_search(config("tune.fresh_processes=true", "tune.trials=1"), tmp_path / "out")


def parts(*names):
    """Returns the environment of a chief and its workers on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(free.getsockname()[1])}
    return [{"KERASTUNER_TUNER_ID": name, **address} for name in names]


def start(part, folder, trials):
    command = [sys.executable, "-m", "tfadt", "tune", *(f"--set={s}" for s in SMALL), f"--trials={trials}", "--out=out"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env={**os.environ, **part}, stdout=pipe, stderr=pipe, text=True)


def test_a_chief_chooses_the_trials_that_a_worker_makes(tmp_path, monkeypatch):
    chief, worker = parts("chief", "worker-1")
    for name, value in worker.items():
        monkeypatch.setenv(name, value)
    heard = Heard()
    with start(chief, tmp_path, 2) as process:
        # It waits until the chief is there.
        assert run_search(config("tune.trials=2"), tmp_path / "out", heard) is None
        told, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert f"waiting for workers at 127.0.0.1:{chief['KERASTUNER_ORACLE_PORT']}" in told
    assert [(trial, reason) for trial, _, reason in heard.ended] == [("0", None), ("1", None)]
    found = Hyperparameters.load(tmp_path / "out")
    scores = [score for _, score, _ in heard.ended]  # which go to the chief as float32
    assert [trial.score for trial in found.searches[0].trials] == pytest.approx(scores, rel=1e-6)
    best = json.loads((tmp_path / "out" / "hyperparameters.json").read_text())["best"]
    assert best["score"] == max(trial.score for trial in found.searches[0].trials)
    # Started again after the end, a chief has no worker left to wait for.
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    assert outcomes(resume_search(tmp_path / "out")) == outcomes(found)


@SOAK
def test_a_chief_and_two_workers_share_the_trials(tmp_path):
    *workers, chief = parts("worker-1", "worker-2", "chief")
    processes = [start(part, tmp_path, 4) for part in workers]
    try:
        # The workers first, so that none comes when the other has done all: they wait until the chief is there.
        for process in processes:
            assert any("Waiting for the chief" in line for line in process.stdout)
        processes.append(start(chief, tmp_path, 4))
        *made, told = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0, 0], told[1]
    assert f"waiting for workers at 127.0.0.1:{chief['KERASTUNER_ORACLE_PORT']}" in told[0]
    done = [{line.split(" trial ")[1][0] for line in out.splitlines() if " trial " in line} for out, _ in made]
    assert done[0] | done[1] == {"0", "1", "2", "3"}
    assert not done[0] & done[1]
    assert all(done)
    found = Hyperparameters.load(tmp_path / "out")
    assert [trial.reason for trial in found.searches[0].trials] == [None] * 4


def test_a_worker_lets_its_chief_know_that_a_trial_goes_on(finished, tmp_path, monkeypatch):
    out, _, _ = finished
    hypermodel = ADTHyperModel(artifact.load(out / "data"), config(), "gmf", "r_ce")
    oracle = make_oracle(config(), hypermodel.objective, len(hypermodel.space))
    heard = threading.Event()
    tuner = SearchTuner(oracle, hypermodel, tmp_path / "search", elsewhere=lambda trial, tell: heard.wait(10))
    monkeypatch.setattr("tfadt.tuning.distribution.BEAT", 0.01)
    monkeypatch.setattr(tuner, "_is_worker", lambda: True)
    monkeypatch.setattr(oracle, "get_trial", lambda trial_id: trial_id == "7" and heard.set())
    assert tuner.run_trial(Trial(None, "7"))


def test_several_processes_need_all_of_the_environment_and_one_search(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker-1")
    with pytest.raises(ConfigError, match="Missing: KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT"):
        run_search(config(), tmp_path / "out")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "http")
    with pytest.raises(ConfigError, match="KERASTUNER_ORACLE_PORT must be a port"):
        run_search(config(), tmp_path / "out")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "65000")
    with pytest.raises(ConfigError, match=r"of one model under one policy. Received: gmf under r_ce, gmf under standard"):
        run_search(config("adt.policies=r_ce,standard"), tmp_path / "out")


def test_an_earlier_search_is_replaced_only_when_asked(finished, tmp_path):
    out = tmp_path / "it's mine"
    shutil.copytree(finished[0], out)
    before = (out / "hyperparameters.json").read_bytes()
    with pytest.raises(ConfigError, match=f"--resume {re.escape(shlex.quote(str(out)))}. Or replace it with --overwrite"):
        run_search(config(), out)
    assert (out / "hyperparameters.json").read_bytes() == before
    replaced = run_search(config("tune.trials=1"), out, overwrite=True)
    assert [len(search.trials) for search in replaced.searches] == [1]


def test_a_port_that_is_used_is_told_before_anything_is_read(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for name, value in (("TUNER_ID", "chief"), ("ORACLE_IP", "127.0.0.1"), ("ORACLE_PORT", taken.getsockname()[1])):
            monkeypatch.setenv(f"KERASTUNER_{name}", str(value))
        with pytest.raises(ConfigError, match=r"The chief cannot listen at 127\.0\.0\.1:.*: Address already in use"):
            run_search(config(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_chief_without_workers_gives_up(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for name, value in (("TUNER_ID", "chief"), ("ORACLE_IP", "127.0.0.1"), ("ORACLE_PORT", port)):
        monkeypatch.setenv(f"KERASTUNER_{name}", str(value))
    monkeypatch.setattr("tfadt.tuning.distribution.PATIENCE", 1.0)
    with pytest.raises(DataError, match=r"No worker .* has asked for a trial .*go on with: tfadt tune --resume"):
        run_search(config("tune.trials=1"), tmp_path / "out")
    assert (tmp_path / "out" / "chief.txt").read_text() == f"127.0.0.1:{port}\n"


@pytest.mark.parametrize("limit", [18_000, 24_000])
def test_a_full_disk_is_told_in_a_sentence(limit, tmp_path, monkeypatch, capsys):
    sets = (f"--set={setting}" for setting in SMALL)
    monkeypatch.setattr(sys, "argv", ["tfadt", "tune", *sets, "--quiet", f"--out={tmp_path / 'out'}"])
    # From a file of weights on.
    with pytest.raises(SystemExit) as exited, files_of_at_most(limit):
        main()
    assert exited.value.code == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert len(told) == 1
    assert told[0].startswith("Error: The search of gmf-r_ce cannot go on: What a trial leaves cannot be written")
