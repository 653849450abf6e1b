"""A worker that knows the folder of its search alone: what it does with a chief's address, and where there is none."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tfadt.errors import ConfigError, DataError
from tfadt.tuning.worker import follow_chief


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfadt.tuning.worker._LOOK", 0.05)
    monkeypatch.setattr("tfadt.tuning.distribution.PATIENCE", 0.2)


def results(score: float | None) -> str:
    """Returns what a search leaves that made one trial."""
    trial = {"trial": "0", "settings": {}, "score": score, "run": None, "reason": None}
    search = {"model": "gmf", "policy": "t_ce", "trials": [trial]}
    return json.dumps({"objective": "val_recall@20", "searches": [search], "config": {}})


def program(content: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a shell script in the place of Python, which makes the trials."""
    file = folder / "program"
    file.write_text(f"#!/bin/sh\ncd {folder}\n{content}\n")
    file.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(file))


def test_without_a_chief_it_gives_up_and_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no chief has left its address there"):
        follow_chief(tmp_path / "search")  # which there is not either
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    (tmp_path / "chief.txt").write_text(f"127.0.0.1:{port}\n")
    with pytest.raises(ConfigError, match=rf"nobody listens at 127\.0\.0\.1:{port}\."):
        follow_chief(tmp_path)


@pytest.mark.parametrize("text", ["", "8000", "10.0.0.1:", "10.0.0.1:65536"])
def test_what_is_no_address_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "chief.txt").write_text(text)
    with pytest.raises(DataError, match=rf"chief\.txt must hold the address of a chief, HOST:PORT\. Received: '{text}'"):
        follow_chief(tmp_path)


def test_one_that_comes_when_all_is_done_has_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "hyperparameters.json").write_text(results(score=0.5))
    follow_chief(tmp_path)
    # Where every trial failed, the chief is about to begin anew.
    (tmp_path / "hyperparameters.json").write_text(results(score=None))
    with pytest.raises(ConfigError, match="has no chief"):
        follow_chief(tmp_path)


def test_it_goes_over_to_another_chief_under_another_name_until_the_results_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "results").write_text(results(score=0.5))
    script = """\
echo "$KERASTUNER_TUNER_ID $KERASTUNER_ORACLE_IP:$KERASTUNER_ORACLE_PORT $*" >> made
if [ -e second ]; then mv second out/chief.txt; exec sleep 60; fi
mv results out/hyperparameters.json"""
    program(script, tmp_path, monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second)]
        (out / "chief.txt").write_text(addresses[0])
        (tmp_path / "second").write_text(addresses[1])
        follow_chief(out)
    made = [line.split(" ", 2) for line in (tmp_path / "made").read_text().splitlines()]
    assert [address for _, address, _ in made] == addresses
    assert [command for *_, command in made] == [f"-m tfadt tune --resume {out}"] * 2
    assert len({name for name, *_ in made}) == 2
    assert all(name.startswith("worker-") for name, *_ in made)


def test_where_trials_ended_with_their_chief_it_waits_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program("exit 1", tmp_path, monkeypatch)
    (tmp_path / "chief.txt").write_text("10.0.0.1:8000")
    there = iter([True])
    monkeypatch.setattr("tfadt.tuning.distribution.Role.chief_listens", lambda part: next(there, False))
    with pytest.raises(ConfigError, match=r"has no chief: nobody listens at 10\.0\.0\.1:8000"):
        follow_chief(tmp_path)


def test_trials_that_cannot_be_made_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program("exit 3", tmp_path, monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as chief:
        (tmp_path / "chief.txt").write_text(f"127.0.0.1:{chief.getsockname()[1]}")
        with pytest.raises(DataError, match=r"for the chief at 127\.0\.0\.1:\d+ ended with code 3\. Expected 0"):
            follow_chief(tmp_path)
