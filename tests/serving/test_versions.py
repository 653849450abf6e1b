"""Versions in a folder: what a server sees at every moment, and what is never done to another's version."""

import threading

import pytest
from serving_cases import seen_by_server

from tfadt.errors import ConfigError, DataError
from tfadt.serving.versions import PARTIAL, find_version, is_version, publishing, remove_version, versions


def publish(folder, version=None, text="x"):
    with publishing(folder, version) as (partial, target):
        (partial / "saved_model.pb").write_text(text)
    return target


def test_numbers_go_up_whatever_else_lies_there(tmp_path):
    assert publish(tmp_path / "m") == tmp_path / "m" / "1"
    (tmp_path / "m" / "12").mkdir()
    (tmp_path / "m" / "server").mkdir()
    (tmp_path / "m" / "99.blessing.json").touch()
    assert publish(tmp_path / "m").name == "13"
    assert list(versions(tmp_path / "m")) == [1, 12, 13]
    assert versions(tmp_path / "nowhere") == {}


def test_nothing_is_seen_before_the_end(tmp_path):
    with publishing(tmp_path / "m") as (partial, _):
        (partial / "saved_model.pb").write_text("half")
        assert seen_by_server(tmp_path / "m") == []
    assert [path.name for path in seen_by_server(tmp_path / "m")] == ["1"]


def test_a_failure_leaves_nothing(tmp_path):
    def fail():
        with publishing(tmp_path / "m") as (partial, _):
            (partial / "saved_model.pb").write_text("half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert [path.name for path in (tmp_path / "m").iterdir()] == [".tfadt-lock"]


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    leftover = tmp_path / "m" / f"{PARTIAL}abc"
    leftover.mkdir(parents=True)
    (leftover / "saved_model.pb").write_text("half")
    publish(tmp_path / "m")
    assert not leftover.exists()


@pytest.mark.parametrize("version", [0, -1, 10**18])
def test_a_number_that_is_no_version_is_refused(tmp_path, version):
    with pytest.raises(ConfigError, match=f"Received: {version}"):
        publish(tmp_path / "m", version)


def test_a_version_is_never_overwritten(tmp_path):
    publish(tmp_path / "m", 3, "first")
    with pytest.raises(DataError, match="Version 3 is there already"):
        publish(tmp_path / "m", 3, "second")
    assert (tmp_path / "m" / "3" / "saved_model.pb").read_text() == "first"


def test_two_at_once_get_two_numbers(tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(publish(tmp_path / "m").name)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made, key=int) == ["1", "2", "3", "4", "5", "6"]


def test_a_removed_version_is_gone(tmp_path):
    publish(tmp_path / "m")
    publish(tmp_path / "m")
    remove_version(tmp_path / "m", 1)
    assert list(versions(tmp_path / "m")) == [2]
    assert not list((tmp_path / "m").glob(f"{PARTIAL}*"))


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "m").write_text("")
    with pytest.raises(DataError, match=f"{tmp_path / 'm'} cannot be written"):
        publish(tmp_path / "m")


def test_a_version_is_found_by_its_own_path_or_its_models(tmp_path):
    for version in (2, 10):
        publish(tmp_path / "m", version)
    assert find_version(tmp_path / "m") == tmp_path / "m" / "10"
    assert find_version(tmp_path / "m" / "2") == tmp_path / "m" / "2"
    with pytest.raises(DataError, match="does not exist"):
        find_version(tmp_path / "n")
    (tmp_path / "n").mkdir()
    with pytest.raises(DataError, match="holds no exported version"):
        find_version(tmp_path / "n")


def test_names_are_read_as_a_server_reads_them():
    assert [is_version(name) for name in ("7", "007", "1.partial", ".7", "seven", "", "7 ")] == [True, True, *[False] * 5]
