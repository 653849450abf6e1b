"""A version is tried by those who ask for the canary, and becomes stable or is taken back; it does not return by itself."""

import re

import pytest
import tensorflow as tf
from serving_cases import renumber, seen_by_server

from tfadt.errors import ConfigError, DataError
from tfadt.serving.push import push
from tfadt.serving.relabel import promote, rollback
from tfadt.serving.remote import remote_versions
from tfadt.serving.served import load_served


@pytest.fixture(scope="module")
def two(exports, tmp_path_factory):
    """Two blessed versions of gmf."""
    folder = tmp_path_factory.mktemp("blessed")
    first, second = (renumber(exports["gmf"], folder / number / "gmf" / number) for number in ("1", "2"))
    return first, second


def test_the_version_before_answers_and_the_export_is_not_pushed_again(two, tmp_path):
    for version in two:
        push(version, str(tmp_path))
    model = tmp_path / "gmf"
    assert rollback("gmf", str(tmp_path)) == (str(model / "1"), str(model / "rolled-back-2"))
    assert [path.name for path in seen_by_server(model)] == ["1"]
    config = (tmp_path / "server" / "models.config").read_text()
    assert 'key: "stable" value: 1' in config
    assert 'key: "canary" value: 1' in config
    assert not (model / "2.blessing.json").exists()
    assert load_served(str(model / "rolled-back-2")).signatures
    for again in (False, True):  # by hand, and by a pipeline
        with pytest.raises(DataError, match=r"was pushed as version 2 and rolled back. Expected another export. Delete "):
            push(two[1], str(tmp_path), again=again)
    with pytest.raises(DataError, match=r"Version 1 is the only one in .*: without it nothing would be served"):
        rollback("gmf", str(tmp_path))
    assert [path.name for path in seen_by_server(model)] == ["1"]
    tf.io.gfile.rmtree(str(model / "rolled-back-2"))
    push(two[1], str(tmp_path))
    assert [path.name for path in seen_by_server(model)] == ["1", "2"]


def labels(to):
    """Returns the labels that a server reads."""
    found = re.findall(r'key: "(\w+)" value: (\d+)', (to / "server" / "models.config").read_text())
    return {label: int(version) for label, version in found}


def test_a_canary_becomes_stable_or_is_taken_back(two, exports, tmp_path):
    push(two[0], str(tmp_path), label="canary")
    assert labels(tmp_path) == {"stable": 1, "canary": 1}  # nothing else was there
    with pytest.raises(DataError, match="has no canary: version 1 is stable"):
        promote("gmf", str(tmp_path))
    push(two[1], str(tmp_path), label="canary", keep=1)
    assert labels(tmp_path) == {"stable": 1, "canary": 2}  # what is stable is kept
    assert rollback("gmf", str(tmp_path))[0] == str(tmp_path / "gmf" / "1")
    assert labels(tmp_path) == {"stable": 1, "canary": 1}
    third = renumber(exports["gmf"], tmp_path / "from" / "gmf" / "3")
    push(third, str(tmp_path), label="canary")
    assert promote("gmf", str(tmp_path)) == str(tmp_path / "gmf" / "3")
    assert labels(tmp_path) == {"stable": 3, "canary": 3}
    fourth = renumber(exports["gmf"], tmp_path / "from" / "gmf" / "4")
    with pytest.raises(ConfigError, match=r"Unknown label 'canry'\. Did you mean 'canary'\?"):
        push(fourth, str(tmp_path), label="canry")
    assert not (tmp_path / "gmf" / "4").exists()


def test_labels_move_before_the_version_goes(two, tmp_path, monkeypatch):
    for version in two:
        push(version, str(tmp_path))
    config = tmp_path / "server" / "models.config"
    seen = []
    monkeypatch.setattr("tfadt.serving.place.hide_version", lambda *arguments: seen.append(config.read_text()))
    rollback("gmf", str(tmp_path))
    assert 'key: "canary" value: 1' in seen[0]


def test_in_a_remote_directory(two):
    to = "ram://rollback"
    for version in two:
        push(version, to)
    answers, kept = rollback("gmf", to)
    assert list(remote_versions(f"{to}/gmf")) == [1]
    assert (answers, kept) == (f"{to}/gmf/1", f"{to}/gmf/rolled-back-2")
    assert tf.io.gfile.exists(f"{kept}/saved_model.pb")
    with pytest.raises(DataError, match="was pushed as version 2 and rolled back"):
        push(two[1], to)


def test_where_nothing_is_served_is_told(tmp_path):
    with pytest.raises(DataError, match="gmf holds no version of a model: there is nothing to roll back or to promote"):
        rollback("gmf", str(tmp_path))
    with pytest.raises(ConfigError, match="Received: ''"):
        rollback("gmf", "")
