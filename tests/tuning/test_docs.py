"""What docs/tuning.md shows runs as it stands, on a small log and with small budgets."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tfadt.cli.main import app
from tfadt.config.loading import load_config
from tfadt.tuning.search import check

DOCS = (Path(__file__).parent.parent.parent / "docs" / "tuning.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


def smaller(text, large, small):
    assert large in text
    return text.replace(large, small)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Runs the commands that the page opens with."""
    folder = tmp_path_factory.mktemp("docs")
    user, item = (grid.ravel() for grid in np.meshgrid(np.arange(40), np.arange(30)))
    clicked = (user + item) % 3 == 0
    clicks = pd.DataFrame({"user_id": user[clicked], "item_id": item[clicked], "rating": 4})
    clicks.to_csv(folder / "clicks.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        commands = smaller(smaller(blocks("sh")[0], "--trials 20", "--trials 1"), "--seeds 5", "--seeds 1")
        for command in smaller(commands, "standard,t_ce,r_ce", "standard,t_ce").splitlines():
            program, *arguments = shlex.split(command)
            assert program == "tfadt"
            few = ["--set=adt.epochs=2"] if arguments[0] == "tune" else []  # which its best.toml hands on
            CliRunner().invoke(app, [*arguments, *few], catch_exceptions=False)
    assert (folder / "runs" / "tuned" / "results.md").is_file()
    return folder


def test_the_python_runs(searched, monkeypatch, capsys):
    monkeypatch.chdir(searched)
    of_a_search, of_keras_tuner = blocks("python")
    names = {}
    exec(compile(of_a_search, "docs/tuning.md", "exec"), names)
    assert capsys.readouterr().out.startswith(names["found"].best.name)
    assert names["config"].adt.policies == ("t_ce",)
    names = {}
    exec(compile(smaller(of_keras_tuner, "max_epochs=10", "max_epochs=2"), "docs/tuning.md", "exec"), names)
    recommended = names["model"].recommend(names["data"].users.ids[:3], k=10)
    assert recommended.groupby("user_id").size().tolist() == [10, 10, 10]


def test_the_configuration_can_be_searched(tmp_path):
    (toml,) = blocks("toml")
    (tmp_path / "search.toml").write_text(toml)
    check(load_config(tmp_path / "search.toml"))
