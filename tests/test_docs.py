"""The shell blocks of the README and of docs/: every command line is one that the command takes, and what can run runs.

A block that cannot run says why in a comment above it, such as `<!-- not run: needs Docker -->`, and is skipped with that
reason. The others run in the order of the pages, in one folder, on a small log. What trains for long runs with
`TFADT_SOAK_DOCS` alone (`make soak`); `ELSEWHERE` says which block another test runs.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from tfadt.cli.main import app
from tfadt.config.loading import load_config

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
SOAK = bool(os.environ.get("TFADT_SOAK_DOCS"))
ELSEWHERE = {
    ("docs/datasets.md", "export TFDS_DATA_DIR"): "tests/datasets/test_docs.py",
    ("docs/ingest.md", "awk"): "tests/data/test_public_layouts.py",
    ("docs/tuning.md", "tfadt tune --data"): "tests/tuning/test_docs.py",
}
SLOW = (
    *("run", "study", "tune", "verify", "push", "pipeline run", "pipeline status", "pipeline lineage"),
    *("recommend runs/ml", "denoise runs/ml", "export runs/ml"),
)
"""How lines begin that train for long, or read what such a line makes."""
ONE = ("adt.epochs", "warmup.epochs", "finetune.epochs", "adt.seeds", "tune.trials")


class Block(NamedTuple):
    page: str
    not_run: str
    text: str

    def calls(self) -> list[list[str]]:
        """Returns the arguments of each call of `tfadt`, without what a shell does besides."""
        lines = self.text.replace("\\\n", " ").splitlines()
        words = [shlex.split(line, comments=True) for line in lines]
        words = [[word for word in line if not re.match(r"[A-Z_]+=", word)] for line in words]
        return [line[1:] for line in words if line and line[0].removeprefix(".venv/bin/") == "tfadt"]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


FENCE = re.compile(r"(?:^<!-- not run: (.+) -->\n)?^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)
BLOCKS = [Block(page, why, text) for page in PAGES for why, kind, text in FENCE.findall(read(page)) if kind == "sh"]


def parsed(arguments: list[str]) -> dict[str, Any]:
    """Returns the parameters that a command line gives, without running it."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name, *arguments = arguments
        command = command.commands[name]
    parameters: dict[str, Any] = command.make_context(name, arguments).params
    return parameters


def without_redirection(call: list[str]) -> tuple[list[str], str | None]:
    return (call[: call.index(">")], call[call.index(">") + 1]) if ">" in call else (call, None)


@pytest.mark.parametrize("page", PAGES)
def test_a_block_says_what_it_is(page: str) -> None:
    assert {kind for _, kind, _ in FENCE.findall(read(page))} <= {"sh", "python", "toml", "text"}
    assert len(re.findall(r"^<!-- not run", read(page), re.MULTILINE)) == sum(
        bool(why) for why, _, _ in FENCE.findall(read(page))
    )


@pytest.mark.parametrize("page", PAGES)
def test_the_command_takes_what_a_page_says(page: str) -> None:
    for block in (block for block in BLOCKS if block.page == page):
        for call in block.calls():
            given = parsed(without_redirection(call)[0])
            config = given.get("config")
            load_config(ROOT / config if config is not None and (ROOT / config).is_file() else None, given.get("set_") or [])
    for line in re.findall(r"`(tfadt [a-z][^`]*)`", read(page)):
        try:
            parsed(shlex.split(line)[1:])
        except Exception as error:
            if type(error).__name__ != "MissingParameter":  # In a sentence, what a command needs may be left out.
                raise
    for options in re.findall(r"`(--set [^`]*[^`A-Z])`", read(page)):
        if options != "--set section.key=value":
            load_config(overrides=[word for word in shlex.split(options) if word != "--set"])


def small(call: list[str]) -> list[str]:
    """Returns a call that does the same inside the folder, with as little to train as possible."""
    newest = max((int(path.name) for path in Path("saved_models/gmf").glob("[0-9]*") if path.is_dir()), default=1)
    words = [re.sub(r"/\d{10}$", f"/{newest}", word.removeprefix("/srv/")) for word in call]
    if "--seeds" in words:
        words[words.index("--seeds") + 1] = "1"
    if words[0] in ("run", "study", "tune") and "--resume" not in words:
        words += [f"--set={name}=1" for name in ONE]
    return words


def invoke(call: list[str]) -> None:
    arguments, to = without_redirection(small(call))
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, f"{' '.join(call)}: {result.exception!r} {result.output[-500:]}"
    if to is not None:
        Path(to).write_text(result.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of somebody who follows the pages, with the files that they have: 120 users of four tastes, 60 items."""
    path = tmp_path_factory.mktemp("docs")
    rng = np.random.default_rng(0)
    user, item = np.divmod(np.arange(120 * 60), 60)
    clicked = ((user + item) % 4 == 0) | (rng.random(len(user)) < 0.05)
    user, item = user[clicked], item[clicked]
    rating = rng.choice(5, len(user), p=[0.05, 0.1, 0.2, 0.3, 0.35]) + 1
    log = pd.DataFrame({"user_id": user, "item_id": item, "rating": rating})
    split = rng.choice(["train", "valid", "test"], len(log), p=[0.8, 0.1, 0.1])
    for name in ("clicks.csv", "ratings.csv"):
        log.to_csv(path / name, index=False)
    for name in ("train", "valid", "test"):
        log[split == name].to_csv(path / f"{name}.tsv", sep="\t", index=False)
    for name in ("2019-Oct.csv.gz", "2019-Nov.csv.gz"):
        log.rename(columns={"item_id": "product_id"}).assign(event_type="view").to_csv(path / name, index=False)
    (path / "users.txt").write_text("42\n7\n")
    pd.DataFrame({"item_id": range(60), "title": "A title"}).to_csv(path / "titles.csv", index=False)
    (path / "pipelines").symlink_to(ROOT / "pipelines")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        if not SOAK:  # The run that the first lines of the README make, of one model alone.
            invoke(
                [
                    "run",
                    "--data",
                    "clicks.csv",
                    "--model",
                    "gmf",
                    "--policy",
                    "t_ce",
                    "--set",
                    "adt.epochs=2",
                    "--out",
                    "runs/clicks",
                ]
            )
        yield path


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}: {block.text.splitlines()[0][:40]}")
def test_a_block_runs(block: Block, folder: Path) -> None:
    if block.not_run:
        pytest.skip(f"not run: {block.not_run}")
    for (page, opening), test in ELSEWHERE.items():
        if page == block.page and block.text.startswith(opening):
            assert page in (ROOT / test).read_text(encoding="utf-8")
            pytest.skip(f"run by {test}")
    calls = block.calls()
    assert len(calls) == len(block.text.replace("\\\n", " ").splitlines()), "a line is no call of tfadt: mark the block"
    quick = [call for call in calls if SOAK or not " ".join(call).startswith(SLOW)]
    if not quick:
        pytest.skip("trains for long: make soak")
    for call in quick:
        invoke(call)
