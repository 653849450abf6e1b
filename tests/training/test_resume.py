"""A run that was killed, stopped or starved goes on, and ends as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from soak import EVERY

from tfadt.cli.main import main
from tfadt.config.loading import load_config
from tfadt.errors import ConfigError, DataError, InterruptedRunError
from tfadt.evaluation import ranking
from tfadt.experiments.experiment import resume_experiment, run_experiment
from tfadt.experiments.folder import RunFolder
from tfadt.experiments.report import write_report
from tfadt.experiments.saved import SavedRun
from tfadt.training.progress import Progress

COMMAND = Path(__file__).parent.parent / "faults" / "command.py"
SETTINGS = [
    "ingest.simulated.users=150",
    "ingest.simulated.items=80",
    "ingest.simulated.interactions=3000",
    "adt.preset=paper",
    "adt.epochs=3",
    "adt.trainings=gmf-t_ce,cdae-udt",
    "adt.preset=paper",
    "adt.batch_size=64",
    "adt.user_batch_size=16",
    "adt.eval_every=20",
    "method.gmf={'adt.ema_momentum' = 0.5}",
    "adt.checkpoint_every=7",
    "adt.steps_per_call=5",
    "evaluate.k=5,10",
    "model.gmf.embedding_dim=8",
    "model.cdae.hidden_dim=16",
]


def run(out, *more):
    config = load_config(None, [*SETTINGS, *more])
    run_experiment(config, out, after_each=lambda data, runs: write_report(config, data, runs, out))


def resume(out):
    config = RunFolder(out).config()
    resume_experiment(out, after_each=lambda data, runs: write_report(config, data, runs, out))


def command(*arguments, kill=""):
    environment = {**os.environ, "TFADT_TEST_KILL": kill, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, str(COMMAND), "run", *arguments, "--quiet"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )


def assert_same(out, reference):
    """Weights, optimizer states, metrics and logs are the same, bit for bit."""
    ours, theirs = SavedRun.open(out), SavedRun.open(reference)
    for a, b in zip(ours.results["runs"], theirs.results["runs"], strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    for name in theirs.names:
        models = ours.load_model(name), theirs.load_model(name)
        variables = [[*model.variables, *model.optimizer.variables] for model in models]
        for a, b in zip(*variables, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=f"{name}: {a.path}")
    logs = (pd.read_parquet(folder / "training.parquet") for folder in (out, reference))
    pd.testing.assert_frame_equal(*logs)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    out = tmp_path_factory.mktemp("uncut") / "out"
    run(out)
    return out


def kills():
    """Two moments; `make soak` has ten. Files are forced to disk: config, users, then checkpoints and results."""
    rng = np.random.default_rng(int(os.environ.get("TFADT_SOAK_SEED", "0")))
    more = int(os.environ.get("TFADT_SOAK_KILLS", "2")) - 2
    inside = [f"fsync:{rng.integers(10, 24)}" for _ in range(more // 2)]
    return [
        f"fsync:{rng.integers(10, 24)}",
        f"write:{rng.integers(40, 120)}",
        *inside,
        *(f"after:{rng.uniform(0, 1.5):.3f}" for _ in range(more - len(inside))),
    ]


def run_killed_again_and_again(out, settings):
    arguments = [*(word for setting in settings for word in ("--set", setting)), "--out", str(out)]
    killed = 0
    for kill in kills():
        done = command(*arguments, kill=kill)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        killed += done.returncode == -signal.SIGKILL
        arguments = ["--resume", str(out)]
    assert killed >= 2
    resume(out)


def test_a_run_killed_again_and_again_ends_bit_for_bit_as_one_that_was_not(reference, tmp_path):
    out = tmp_path / "out"
    run_killed_again_and_again(out, SETTINGS)
    assert_same(out, reference)
    assert not list((out / "checkpoints").iterdir())
    assert not list(out.rglob(".partial*"))


@pytest.mark.skipif("TFADT_SOAK_KILLS" not in os.environ, reason="part of make soak")
def test_an_automatic_training_killed_again_and_again_chooses_and_trains_as_one_that_was_not(tmp_path):
    automatic = ["adt.trainings=gmf-noise_model", "ingest.extra_feedback.share=0.3", "denoising.powers=1,2"]
    automatic += ["denoising.gammas=0,1", "denoising.policies=udt", "denoising.max_recall_loss=0.2"]
    run(tmp_path / "uncut", *automatic)
    out = tmp_path / "out"
    run_killed_again_and_again(out, [*SETTINGS, *automatic])
    assert_same(out, tmp_path / "uncut")
    assert len(SavedRun.open(out).run("gmf-noise_model-0").strength["frontier"]) == 7


SIGNALS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


@pytest.mark.parametrize(("signum", "code"), SIGNALS if EVERY else SIGNALS[:1])
def test_a_signal_leaves_a_checkpoint_and_the_line_to_go_on_with(signum, code, reference, tmp_path, monkeypatch):
    out = tmp_path / "out"
    # The shell has SIGINT ignored in what it starts in the background.
    signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
    from tfadt.training.state import Checkpointing

    keep = Checkpointing.on_train_batch_end

    def strike(self, batch, logs=None):
        if int(self.model.iteration) == 40:
            os.kill(os.getpid(), signum)
        keep(self, batch, logs)

    monkeypatch.setattr(Checkpointing, "on_train_batch_end", strike)
    # 40 is no multiple of checkpoint_every: the signal itself brings the checkpoint. The uncut run syncs there to validate.
    with pytest.raises(InterruptedRunError, match="at step 40; the last checkpoint is of step 40") as caught:
        run_experiment(load_config(None, SETTINGS), out)
    assert caught.value.exit_code == code
    monkeypatch.setattr(Checkpointing, "on_train_batch_end", keep)
    assert signal.getsignal(signum) in (signal.default_int_handler, signal.SIG_DFL)
    resume(out)
    assert_same(out, reference)


def test_the_command_exits_with_130_and_says_how_to_go_on(tmp_path):
    out = tmp_path / "out"
    sets = [word for setting in [*SETTINGS, "adt.epochs=4000"] for word in ("--set", setting)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, str(COMMAND), "run", *sets, "--out", str(out), "--quiet"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for _ in range(1200):
        if list(out.glob("checkpoints/*/*/step-*")):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert f"Go on with: tfadt run --resume {out}" in errors


def test_a_run_stopped_before_it_began_names_no_run_to_go_on_with(reference, monkeypatch, capsys):
    def strike(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfadt.experiments.experiment.ingest", strike)
    monkeypatch.setattr(sys, "argv", ["tfadt", "run", "--seeds", "3", "--out", str(reference)])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 130
    assert capsys.readouterr().err == "Stopped. Nothing was written yet.\n"


def test_a_finished_run_resumed_trains_nothing(reference, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in (reference / "models").iterdir()}
    resume(reference)
    assert {path: path.stat().st_mtime_ns for path in (reference / "models").iterdir()} == before


def test_resuming_what_is_no_run_or_with_other_settings_is_refused(tmp_path, monkeypatch, capsys):
    with pytest.raises(DataError, match="holds no run to go on with"):
        resume(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tfadt", "run", "--resume", str(tmp_path), "--seeds", "3"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 2
    assert "--resume goes on with the settings of" in capsys.readouterr().err


def test_a_folder_that_another_process_writes_to_is_refused(tmp_path):
    with RunFolder(tmp_path / "out").locked(), pytest.raises(ConfigError, match="Another process is writing to"):
        run(tmp_path / "out")


def test_a_loss_that_is_not_finite_stops_the_run_with_its_step_and_batch(tmp_path):
    from tfadt.errors import DivergedError

    with pytest.raises(DivergedError, match=r"gmf-t_ce-0: Training has diverged: the loss of step \d+") as caught:
        run(tmp_path / "out", "adt.learning_rate=1e30", "adt.selection=last")
    step = caught.value.step
    file = tmp_path / "out" / "diverged" / f"gmf-t_ce-0-step-{step}.npz"
    assert str(file) in str(caught.value)
    with np.load(file) as batch:
        assert set(batch) >= {"users", "items", "labels"}
        assert len(batch["users"]) == 64
    # The step before was fine: the first step is made with the initial weights.
    assert step > 0


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(reference, tmp_path, monkeypatch):
    import errno

    from tfadt import atomic

    replace = os.replace

    def full(source, target):
        if "step-" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(atomic.os, "replace", full)
    with pytest.warns(UserWarning, match="cannot be written to") as warned:
        run(tmp_path / "out")
    messages = [str(each.message) for each in warned if "cannot be written to" in str(each.message)]
    assert "step 7 " in messages[0]
    assert "No space left on device. There is none yet; the training goes on." in messages[0]
    monkeypatch.undo()
    assert_same(tmp_path / "out", reference)


def test_a_full_disk_at_the_users_metrics_is_one_sentence(tmp_path, monkeypatch, capsys):
    import errno

    from tfadt import atomic

    replace = os.replace

    def full(source, target):
        if "popular" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(atomic.os, "replace", full)
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    monkeypatch.setattr(sys, "argv", ["tfadt", "run", *sets, "--out", str(tmp_path / "out"), "--quiet"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 2
    # What ingest warns about this log stands before it.
    assert capsys.readouterr().err.splitlines()[-1] == "Error: The output cannot be written: No space left on device."


def test_what_is_out_of_all_proportion_is_refused_with_its_size(tmp_path):
    from tfadt.errors import OutOfMemoryError

    with pytest.raises(OutOfMemoryError, match=r"The user table \(2 x 1,000,000,000,000 float32\) needs 8,000\.0 GB"):
        run(tmp_path / "out", "model.gmf.embedding_dim=1000000000000")


def test_a_run_that_was_cut_is_not_taken_for_a_whole_one(reference, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(reference, out)
    (out / "checkpoints" / "cdae-udt-0").mkdir()
    (out / "trainings" / "cdae-udt-0.json").unlink()
    with pytest.warns(UserWarning, match=f"was cut in the midst of cdae-udt-0. Go on with: tfadt run --resume {out}"):
        SavedRun.open(out)


def test_the_settings_of_a_run_are_those_it_goes_on_with(reference):
    assert RunFolder(reference).config() == load_config(None, SETTINGS)
    assert json.loads((reference / "config.json").read_text())["config"]["adt"]["checkpoint_every"] == 7


class Ranked(Progress):
    """Hears of rankings once the first block of the test is kept, and dies after so many users of the test."""

    def __init__(self, kept, dies_after=None):
        self.kept, self.dies_after, self.numbers = kept, dies_after, []

    def ranked(self, users, total):
        if self.kept.is_file():
            self.numbers.append(users)
            if users == self.dies_after:
                raise KeyboardInterrupt


def test_a_run_cut_while_it_ranks_the_test_ranks_the_users_that_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr(ranking, "block_size", lambda width: 20)
    small = [f"ingest.simulated.{size}" for size in ("users=100", "items=40", "interactions=1500")]
    config = load_config(None, [*small, "adt.trainings=ease-standard", "adt.selection=val_recall"])
    out, whole = tmp_path / "out", tmp_path / "whole"
    kept = out / "checkpoints" / "ease-standard-0" / "ranking"
    with pytest.raises(KeyboardInterrupt):
        run_experiment(config, out, Ranked(kept, 40))
    listener = Ranked(kept)
    data, runs = resume_experiment(out, listener)
    valid, test = (len(np.unique(users)) for users in (data.valid.user, runs[1].per_user["user"]))
    assert listener.numbers == [*range(20, valid, 20), valid, *range(60, test, 20), test]
    _, expected = run_experiment(config, whole)
    pd.testing.assert_frame_equal(runs[1].per_user, expected[1].per_user)
    assert not kept.exists()
