"""Only what is blessed is served, nothing is overwritten, and a worse model does not replace a better one."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from serving_cases import K, copy_export, renumber, seen_by_server

import tfadt.serving.place
from tfadt.components.component import Step
from tfadt.components.push import push as push_component
from tfadt.config import ExportConfig, PushConfig
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.protocol import seen_at_test
from tfadt.serving.export.exporter import export_model
from tfadt.serving.metadata import fingerprint, read_metadata
from tfadt.serving.push import push
from tfadt.serving.remote import remote_versions, upload_version
from tfadt.serving.served import load_served, served_metrics
from tfadt.serving.verification.verify import verify
from tfadt.serving.versions import find_version


@pytest.fixture(scope="module")
def blessed(exports, tmp_path_factory):
    """Version 1 of gmf, blessed."""
    return renumber(exports["gmf"], tmp_path_factory.mktemp("blessed") / "gmf" / "1")


def ranking_by(saved_run, sign):
    """Returns a model that ranks the items that the test has most of first, or last."""
    model = saved_run.load_model("gmf-t_ce-0")
    counts = np.bincount(saved_run.data.test.item, minlength=saved_run.data.num_items)
    model.user_table.assign(np.ones(model.user_table.shape, np.float32))
    model.output_kernel.assign(np.ones(model.output_kernel.shape, np.float32))
    model.item_table.assign(np.repeat(sign * counts[:, None], model.embedding_dim, axis=1).astype(np.float32))
    return model


@pytest.fixture(scope="module")
def versions_of(saved_run, exports, tmp_path_factory):
    """Makes a blessed version of any number, of a model that ranks well or badly."""
    folder, calls = tmp_path_factory.mktemp("more"), itertools.count()
    made = {
        ranking: export_model(
            ranking_by(saved_run, sign),
            saved_run.data,
            folder / ranking,
            ExportConfig(k=K),
            seen_at_test(saved_run.data, saved_run.config),
            details={key: read_metadata(exports["gmf"])[key] for key in ("run", "data_fingerprint")},
        )
        for ranking, sign in (("good", 1), ("bad", -1))
    }

    def make(number, ranking="good"):
        return renumber(made[ranking], folder / str(next(calls)) / "gmf" / str(number))

    return make


def served(to):
    return [path.name for path in seen_by_server(to / "gmf")]


def test_a_blessed_version_is_served_as_it_was_exported(blessed, tmp_path):
    assert push(blessed, str(tmp_path)) == str(tmp_path / "gmf" / "1")
    assert served(tmp_path) == ["1"]
    found, exported = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "gmf" / "1", blessed)
    )
    assert found == exported
    assert json.loads((tmp_path / "gmf" / "1.blessing.json").read_text())["blessed"]
    assert 'key: "stable" value: 1' in (tmp_path / "server" / "models.config").read_text()


def test_what_was_not_verified_or_failed_or_was_changed_is_not_pushed(exports, blessed, tmp_path):
    version = copy_export(exports["gmf"], tmp_path / "saved")
    version.with_name("1.blessing.json").unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"was not verified: 1\.blessing\.json does not exist"):
        push(version, str(tmp_path / "to"))
    (version / "extra").touch()
    verify(version, loader=False)
    with pytest.raises(DataError, match=r"is not blessed: files: .* has the file extra"):
        push(version, str(tmp_path / "to"))
    changed = copy_export(blessed, tmp_path / "changed")
    (changed / "saved_model.pb").write_bytes(b"other")
    with pytest.raises(DataError, match=r"saved_model\.pb was changed or damaged"):
        push(changed, str(tmp_path / "to"))
    assert not (tmp_path / "to").exists()


def test_a_version_is_never_overwritten(blessed, tmp_path):
    push(blessed, str(tmp_path))
    with pytest.raises(DataError, match="Version 1 is there already"):
        push(blessed, str(tmp_path))


def test_a_version_that_would_not_be_served_is_refused(blessed, tmp_path):
    (tmp_path / "gmf" / "5").mkdir(parents=True)
    with pytest.raises(DataError, match=r"Version 1 would not be served: .* has version 5, and a server takes the largest"):
        push(blessed, str(tmp_path))


def test_the_last_n_are_kept_and_labels_follow(versions_of, tmp_path):
    said = []
    for number in (1, 2, 3):
        push(versions_of(number), str(tmp_path), keep=2, say=said.append)
    assert served(tmp_path) == ["2", "3"]
    assert sorted(path.name for path in (tmp_path / "gmf").glob("*.blessing.json")) == ["2.blessing.json", "3.blessing.json"]
    assert said == ["Removed version 1."]
    config = (tmp_path / "server" / "models.config").read_text()
    assert 'key: "stable" value: 3' in config
    assert 'key: "canary" value: 3' in config
    with pytest.raises(ConfigError, match=r"at least 1\. Received: 0"):
        push(versions_of(4), str(tmp_path), keep=0)


def test_a_worse_version_is_refused(versions_of, saved_run, tmp_path):
    good, bad = versions_of(11), versions_of(12, ranking="bad")
    data, config = saved_run.data, saved_run.config
    recall = [served_metrics(version, data, config, [5], exclude=True)["recall@5"] for version in (good, bad)]
    assert recall[1] < recall[0] - 0.001
    said = []
    push(good, str(tmp_path), unless_worse_than="served", say=said.append)
    assert said == ["Nothing is served yet."]
    figures = rf"recall@5 {recall[1]:.4f} against {recall[0]:.4f} of {tmp_path}/gmf/11"
    with pytest.raises(DataError, match=f"worse than the version it would replace, so it is not pushed: {figures}"):
        push(bad, str(tmp_path), unless_worse_than="served")
    assert served(tmp_path) == ["11"]
    push(bad, str(tmp_path), unless_worse_than="11", tolerance=1.0, say=said.append)
    assert served(tmp_path) == ["11", "12"]
    assert said[1].startswith(f"recall@5 {recall[1]:.4f} against {recall[0]:.4f}")


def test_a_comparison_that_cannot_be_made_is_told(versions_of, tmp_path):
    version = versions_of(21)
    push(version, str(tmp_path))
    newer = versions_of(22)
    for options, message in (
        ({"unless_worse_than": "20"}, r"expects 'served' or a version in .* \(21\)\. Received: '20'"),
        (
            {"unless_worse_than": "served", "metric": "recall@50"},
            "a metric at 1 to 10, such as recall@20. Received: 'recall@50'",
        ),
        ({"unless_worse_than": "served", "metric": "recal@5"}, "Unknown metric 'recal@5'. Known: recall@5"),
    ):
        with pytest.raises(ConfigError, match=message):
            push(newer, str(tmp_path), **options)
    assert served(tmp_path) == ["21"]


def test_a_remote_directory_gets_the_same(versions_of):
    to = "ram://serving/models"
    first, second, third = (versions_of(number) for number in (31, 32, 33))
    for version in (first, second, third):
        assert push(version, to, keep=2) == f"{to}/gmf/{version.name}"
    assert list(remote_versions(f"{to}/gmf")) == [32, 33]
    assert not [name for name in tf.io.gfile.listdir(f"{to}/gmf") if "partial" in name]
    found = load_served(f"{to}/gmf/33").signatures["recommend"](user_id=tf.constant(["0"]))
    assert found["item_ids"].shape == (1, K)
    with tf.io.gfile.GFile(f"{to}/server/models.config") as file:
        assert 'key: "canary" value: 33' in file.read()
    with tf.io.gfile.GFile(f"{to}/gmf/33.blessing.json") as file:
        assert json.load(file)["blessed"]
    with pytest.raises(DataError, match="Version 33 is there already"):
        push(third, to)


def test_a_worse_version_is_refused_in_a_remote_directory(versions_of):
    to = "ram://worse/models"
    push(versions_of(41), to)
    with pytest.raises(DataError, match="worse than the version it would replace"):
        push(versions_of(42, ranking="bad"), to, unless_worse_than="served")


def test_a_broken_upload_is_never_loadable_and_is_done_again(blessed, monkeypatch):
    folder = "ram://broken/gmf"
    rename = tf.io.gfile.rename
    for allowed in range(5):
        done = []

        def break_off(source, target, overwrite, allowed=allowed, done=done):
            if len(done) == allowed:
                raise tf.errors.UnavailableError(None, None, "gone")
            done.append(target)
            rename(source, target, overwrite)

        monkeypatch.setattr(tf.io.gfile, "rename", break_off)
        with pytest.raises(tf.errors.UnavailableError):
            upload_version(blessed, folder, 1)
        assert not tf.io.gfile.exists(f"{folder}/1/saved_model.pb")
        assert remote_versions(folder) == {}
    monkeypatch.undo()
    upload_version(blessed, folder, 1)
    assert list(remote_versions(folder)) == [1]
    assert read_metadata(blessed)["version"] == 1


def test_a_directory_that_cannot_be_written_is_told(blessed, tmp_path):
    (tmp_path / "gmf").write_text("")
    with pytest.raises(DataError, match=f"{tmp_path}/gmf cannot be written"):
        push(blessed, str(tmp_path))


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("", "A directory of served models is a path"),
        (" ", "A directory of served models is a path"),
        ("gs://", "A directory of served models is a path"),
        ("nowhere://bucket/models", "TensorFlow reads no nowhere:// here"),
    ],
)
def test_what_is_no_directory_is_refused_before_anything_is_read(tmp_path, monkeypatch, to, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        push(tmp_path / "no version", to)
    with pytest.raises(ConfigError, match=message):
        adt_pipeline_step(to).check()
    assert list(tmp_path.iterdir()) == []


def adt_pipeline_step(to):
    """Returns the step `push` of a pipeline that pushes to a directory."""
    return Step("push", push_component, {}, {"settings": PushConfig.model_construct(to=to)})


@pytest.mark.parametrize("remote", [False, True])
def test_versions_with_leading_zeros_are_found_labelled_and_removed(versions_of, tmp_path, remote):
    # TensorFlow Serving reads the folder 007 as version 7.
    to = "ram://zeros" if remote else str(tmp_path)
    version = versions_of(7)
    for path in [path for path in version.rglob("*") if path.is_file()]:
        copy = f"{to}/gmf/007/{path.relative_to(version).as_posix()}"
        tf.io.gfile.makedirs(copy.rpartition("/")[0])
        tf.io.gfile.copy(str(path), copy)
    with pytest.raises(DataError, match="Version 7 is there already"):
        push(version, to)
    assert push(version, to, again=True) == f"{to}/gmf/007"
    push(versions_of(8), to, unless_worse_than="served", keep=1)
    assert sorted(name.rstrip("/") for name in tf.io.gfile.listdir(f"{to}/gmf") if not name.startswith(".")) == [
        "8",
        "8.blessing.json",
        "labels.json",
    ]
    if not remote:
        (tmp_path / "gmf" / "8").rename(tmp_path / "gmf" / "008")
        assert find_version(tmp_path / "gmf") == tmp_path / "gmf" / "008"


def test_two_pipelines_that_export_in_one_second_both_push(versions_of, tmp_path):
    push(versions_of(9), str(tmp_path), again=True)
    other = versions_of(9, ranking="bad")
    pushed = push(other, str(tmp_path), again=True)
    assert set(served(tmp_path)) == {"9", Path(pushed).name}
    assert int(Path(pushed).name) > 9
    assert read_metadata(Path(pushed))["files"] == read_metadata(other)["files"]


def test_labels_move_before_a_version_is_removed(versions_of, tmp_path, monkeypatch):
    seen = []
    remove = tfadt.serving.place.remove_version
    config = tmp_path / "server" / "models.config"
    monkeypatch.setattr("tfadt.serving.place.remove_version", lambda *a: (seen.append(config.read_text()), remove(*a)))
    for number in (13, 14, 15):
        push(versions_of(number), str(tmp_path), keep=2)
    assert 'key: "stable" value: 15' in seen[0]


def test_two_pipelines_push_to_one_directory_under_two_names(versions_of, tmp_path):
    push(versions_of(1), str(tmp_path))
    news = renumber(versions_of(2), tmp_path / "from" / "news" / "2")
    assert push(news, str(tmp_path)) == str(tmp_path / "news" / "2")
    (tmp_path / "other" / "1").mkdir(parents=True)  # of somebody else
    push(versions_of(3), str(tmp_path))
    config = (tmp_path / "server" / "models.config").read_text()
    assert re.findall(r'name: "(.+)"', config) == ["gmf", "news"]
    assert re.findall(r'"stable" value: (\d+)', config) == ["3", "2"]
    (tmp_path / "gmf" / "labels.json").write_text('{"stable": 7, "canary": 3}')
    with pytest.raises(
        DataError, match=r"gmf/labels.json: 'stable' names version 7, which is not there. Expected one of 1, 3"
    ):
        push(renumber(versions_of(4), tmp_path / "from" / "news" / "4"), str(tmp_path))
    assert not (tmp_path / "news" / "4").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../../esc"}, r"tfadt\.json is damaged or was changed: The name of a served model"),
        ({"name": "123"}, "not digits alone"),
        ({"tensorflow": "2.21.0\nrm -rf /"}, "'tensorflow' must be a version such as 2.21.0"),
        ({"tensorflow": "$(id)"}, "'tensorflow' must be a version"),
        ({"version": "5"}, "'version' must be a whole number"),
        ({"signatures": "recommend"}, "'signatures' must be a list of texts"),
    ],
)
def test_metadata_that_no_export_writes_are_refused(versions_of, tmp_path, change, message):
    version = copy_export(versions_of(41), tmp_path / "from")
    path = version / "assets.extra" / "tfadt.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    blessing = {"blessed": True, "fingerprint": fingerprint(version), "checks": []}
    version.with_name(f"{version.name}.blessing.json").write_text(json.dumps(blessing))
    with pytest.raises(DataError, match=message):
        push(version, str(tmp_path / "to"))
    assert not (tmp_path / "to").exists()
    assert not (tmp_path / "esc").exists()
