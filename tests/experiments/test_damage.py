"""A run's folder that was damaged, mixed with another's, or left by another version: named file by file, and mended."""

import json
import os
import re
import shutil
import zipfile

import numpy as np
import pytest
from scipy import stats
from soak import EVERY, SOAK

from tfadt.atomic import write_text
from tfadt.config.loading import load_config
from tfadt.data import artifact
from tfadt.data.ingest import ingest
from tfadt.errors import DataError
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.experiments.experiment import resume_experiment, run_experiment
from tfadt.experiments.folder import RunFolder
from tfadt.experiments.plans import plans
from tfadt.experiments.report import write_report
from tfadt.experiments.saved import SavedRun
from tfadt.training.plan import make_model
from tfadt.training.stages import compile_stage

SETTINGS = [
    "ingest.simulated.users=60",
    "ingest.simulated.items=40",
    "ingest.simulated.interactions=900",
    "adt.preset=paper",
    "adt.epochs=1",
    "adt.models=gmf",
    "adt.policies=standard,t_ce",
    "adt.plans=warmup+adt",
    "warmup.epochs=1",
    "evaluate.k=3,10",
    "model.gmf.embedding_dim=4",
]
NAME = "gmf-t_ce-warmup+adt-0"


def run(out, *more):
    config = load_config(None, [*SETTINGS, *more])
    run_experiment(config, out, after_each=lambda data, runs: write_report(config, data, runs, out))
    return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("damage") / "out"
    return out, run(out)


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "copy")


def resume(out, config):
    return resume_experiment(out, after_each=lambda data, runs: write_report(config, data, runs, out))[1]


FILES = pytest.mark.parametrize("file", [f"models/{NAME}.keras", f"per_user/{NAME}.parquet", f"warmup/{NAME}.npy"])


@FILES
def test_resume_names_a_damaged_file_and_trains_what_it_belongs_to_again(file, finished, copy):
    path = copy / file
    path.write_bytes(path.read_bytes()[:-7])
    told = rf"{re.escape(NAME)} is trained again.*{re.escape(path.name)} is not the file that the training wrote"
    if not (EVERY or file.startswith("models/")):
        with pytest.warns(UserWarning, match=told):
            assert RunFolder(copy).finished(plans(finished[1])[-1]) is None
        return
    with pytest.warns(UserWarning, match=told):
        runs = resume(copy, finished[1])
    assert runs[-1].metrics == SavedRun.open(finished[0]).run(NAME).metrics
    mended, whole = (SavedRun.open(folder).load_model(NAME) for folder in (copy, finished[0]))
    for a, b in zip(mended.trainable_variables, whole.trainable_variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@FILES
def test_a_missing_file_is_named_and_its_training_counts_as_not_made(file, finished, copy):
    (copy / file).unlink()
    with pytest.warns(UserWarning, match=rf"{re.escape(NAME)} is trained again.*{re.escape(file)} does not exist"):
        assert RunFolder(copy).finished(plans(finished[1])[-1]) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"run": {"model": 3}, "epochs": {}, "files": {}}', "[" * 3000])
def test_a_damaged_record_is_named_and_its_training_counts_as_not_made(content, finished, copy):
    path = copy / "trainings" / f"{NAME}.json"
    path.write_text(content)
    with pytest.warns(UserWarning, match=r"is trained again.*trainings/gmf-t_ce"):
        assert RunFolder(copy).finished(plans(finished[1])[-1]) is None
    assert not path.exists()


@SOAK
def test_resume_trains_again_what_has_a_damaged_record(finished, copy):
    path = copy / "trainings" / f"{NAME}.json"
    path.write_text("{")
    with pytest.warns(UserWarning, match=r"is trained again.*trainings/gmf-t_ce"):
        resume(copy, finished[1])
    assert json.loads(path.read_text())["run"]["model"] == "gmf"


def test_a_kill_while_checkpoints_are_deleted_does_not_mark_the_run_as_cut(finished, copy, recwarn):
    left = copy / "checkpoints" / NAME / "adt"
    left.mkdir(parents=True)
    (left / "step-000000000001.npz").write_text("left over")
    SavedRun.open(copy)
    assert not recwarn.list
    resume(copy, finished[1])
    assert not left.exists()


def model_of(*more):
    """Returns the model of another run, as it was before its training."""
    config = load_config(None, [*SETTINGS, *more])
    model = make_model("gmf", 0, ingest(config.ingest), config)
    compile_stage(model, "adt", "t_ce", config)
    return model


def test_the_model_of_another_run_is_refused(copy):
    path = copy / "models" / f"{NAME}.keras"
    model_of("ingest.simulated.seed=1").save(path)
    with pytest.raises(DataError, match="is not the file that the training wrote"):
        SavedRun.open(copy).load_model(NAME)
    # Without the record, as in a pipeline's artifact, the sizes tell.
    shutil.rmtree(copy / "trainings")
    model_of("ingest.simulated.items=50").save(path)
    with pytest.raises(DataError, match=r"is not the model of this run. Expected a GMF of 60 users and 40 items"):
        SavedRun.open(copy).load_model(NAME)


def test_the_data_of_another_run_are_refused(copy):
    shutil.rmtree(copy / "data")
    artifact.save(ingest(load_config(None, [*SETTINGS, "ingest.simulated.seed=1"]).ingest), copy / "data")
    with pytest.raises(DataError, match=r"is not the data set of this run\. Expected the fingerprint"):
        SavedRun.open(copy)


@pytest.mark.parametrize("name", ["results.json", "config.json"])
def test_a_folder_of_another_schema_is_refused(name, finished, copy):
    content = json.loads((copy / name).read_text())
    (copy / name).write_text(json.dumps({**content, "schema": 1}))
    message = rf"{name} is not the result of a run that this version of tfadt reads. Expected schema 3. Received: schema 1"
    with pytest.raises(DataError, match=message):
        SavedRun.open(copy) if name == "results.json" else resume(copy, finished[1])


def test_a_planted_link_is_not_followed(tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    os.symlink(mine, tmp_path / ".partial.results.json")
    write_text(tmp_path / "results.json", "new")
    assert mine.read_text() == "mine"
    assert not (tmp_path / "results.json").is_symlink()


def test_the_best_model_is_chosen_by_validation_never_by_test(copy):
    path = copy / "results.json"
    results = json.loads(path.read_text())
    plain, denoised = (row for row in results["runs"] if row["policy"] is not None)
    plain["valid_recall"], denoised["valid_recall"] = 0.1, 0.2
    for metric in plain["metrics"]:
        plain["metrics"][metric], denoised["metrics"][metric] = 0.9, 0.1
    path.write_text(json.dumps(results))
    assert SavedRun.open(copy).best() == NAME
    plain["valid_recall"] = None
    path.write_text(json.dumps(results))
    with pytest.raises(DataError, match=r"no validation interactions to choose a model by\. Name one with --model"):
        SavedRun.open(copy).best()


@pytest.mark.parametrize(("rule", "users"), [("last", "auto"), ("paper", "12"), ("val_recall", "12")])
def test_whatever_selects_checkpoints_recall_on_validation_is_kept(rule, users, tmp_path):
    settings = [f"adt.selection={rule}", f"evaluate.valid_users={users}"]
    run(tmp_path / "out", *settings, "adt.policies=t_ce", "adt.plans=adt")
    saved = SavedRun.open(tmp_path / "out")
    everybody = np.unique(saved.data.valid.user)
    chosen = everybody if users == "auto" else np.random.default_rng(0).choice(everybody, 12, replace=False)
    valid = saved.data.valid.take(np.isin(saved.data.valid.user, chosen))
    recall = RankingEvaluator(valid, saved.data.history(), (10,))(saved.load_model("gmf-t_ce-0")).per_user["recall@10"]
    record = saved.run("gmf-t_ce-0")
    assert record.valid_users == len(chosen)
    assert record.valid_recall == pytest.approx(recall.mean(), abs=1e-12)
    margin = stats.t.ppf(0.975, len(chosen) - 1) * recall.std() / len(chosen) ** 0.5
    assert record.valid_interval == pytest.approx((recall.mean() - margin, recall.mean() + margin))
    if rule == "val_recall":
        assert record.selection_score == record.valid_recall
    of = "" if users == "auto" or rule == "paper" else f" at 10 of 12 of {len(everybody)} users"
    assert f"by `{rule}`{of}" in (tmp_path / "out" / "results.md").read_text()


def test_names_of_files_are_no_markup_in_the_report(tmp_path):
    rows = [f"{u},{i},5" for u in range(20) for i in range(12) if (u * i + u) % 3]
    log = tmp_path / "<img src=x>[a](b).csv"
    log.write_text("\n".join(["user_id,item_id,rating", *rows]))
    run(tmp_path / "out", f"ingest.data={log}", "adt.policies=t_ce", "adt.plans=adt")
    text = (tmp_path / "out" / "results.md").read_text()
    assert r"&lt;img src=x&gt;\[a\](b)" in text
    assert "<img" not in text


def test_an_output_folder_with_too_long_a_name_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="cannot be written: File name too long"):
        run(tmp_path / ("x" * 3000))


def _archive(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("_json", ".json"), content)


@pytest.mark.parametrize("kind", ["empty", "no settings", "encrypted", "unknown compression", "not a zip"])
def test_an_odd_model_file_is_one_sentence(kind, copy):
    shutil.rmtree(copy / "trainings")  # as in a pipeline's artifact, which has no record of its files
    path = copy / "models" / f"{NAME}.keras"
    if kind == "not a zip":
        path.write_bytes(os.urandom(500))
    elif kind == "empty":
        _archive(path)
    elif kind == "no settings":
        _archive(path, config_json="{}", metadata_json="{}")
    else:
        content = bytearray(path.read_bytes())
        # In the header of each member, at its place in the file and in the directory at its end.
        for signature, flags, method in ((b"PK\x03\x04", 6, 8), (b"PK\x01\x02", 8, 10)):
            start = content.find(signature)
            while start >= 0:
                content[start + (flags if kind == "encrypted" else method)] |= 1 if kind == "encrypted" else 77
                start = content.find(signature, start + 1)
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"gmf-t_ce-warmup\+adt-0\.keras cannot be loaded"):
        SavedRun.open(copy).load_model(NAME)


@pytest.mark.parametrize("kind", ["objects", "huge", "archive", "one row less", "text"])
def test_odd_vectors_after_warm_up_are_one_sentence(kind, copy):
    shutil.rmtree(copy / "trainings")
    path = copy / "warmup" / f"{NAME}.npy"
    space = np.load(path)
    if kind == "huge":
        header = np.lib.format.magic(1, 0) + (118).to_bytes(2, "little")
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**14}, 4), }}"
        path.write_bytes(header + text.ljust(117).encode() + b"\n" + bytes(64))
    elif kind == "archive":
        with path.open("wb") as file:
            np.savez(file, space=space)
    else:
        odd = {"objects": np.array([{}, None]), "one row less": space[1:], "text": space.astype(str)}[kind]
        np.save(path, odd, allow_pickle=True)
    with pytest.raises(DataError, match=r"warmup\+adt-0\.npy (cannot be read|must have a row for each of the 60 users)"):
        SavedRun.open(copy).warmup_space(NAME)


def test_a_clock_before_1980_is_told_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr("tfadt.experiments.folder.time.time", lambda: 86_400.0)
    with pytest.raises(DataError, match="Set the clock of this machine"):
        run(tmp_path / "out")
