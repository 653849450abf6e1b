"""`tfadt tune`: what it prints on a terminal and elsewhere, and what it refuses."""

import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tfadt.cli import search_table
from tfadt.cli.main import app
from tfadt.errors import TfadtError

SMALL = [
    f"--set={setting}"
    for setting in (
        "ingest.simulated.users=80",
        "ingest.simulated.items=40",
        "ingest.simulated.interactions=1200",
        "adt.preset=paper",
        "adt.epochs=1",
        "evaluate.k=5,10",
        "model.gmf.embedding_dim=4",
        "tune.over=policy",
    )
]


def invoke(*arguments):
    result = CliRunner().invoke(app, ["tune", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit | TfadtError):
        raise result.exception
    return result


def test_a_line_for_each_trial_then_the_table(tmp_path):
    out = tmp_path / "search"
    arguments = ("--model", "gmf", "--policy", "r_ce", "--trials", 1, "--objective", "ndcg@7", *SMALL, "--out", out)
    result = invoke(*arguments)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "gmf-r_ce: searching for the largest val_ndcg@7" in lines
    (trial,) = [line for line in lines if line.startswith("gmf-r_ce trial 0 (beta ")]
    header, row = lines[-4:-2]
    assert header.split() == ["model", "policy", "trials", "failed", "val_ndcg@7", "best", "settings"]
    assert row.split()[:4] == ["gmf", "r_ce", "1", "0"]
    assert f"val_ndcg@7 {row.split()[4]}" in trial
    assert lines[-1] == f"Train with the best: tfadt run {out / 'best.toml'} --seeds 5"
    assert "\x1b" not in result.stdout
    # Nothing is left to be done, so going on prints the result alone.
    again = invoke("--resume", out, "--quiet")
    assert again.stdout.splitlines() == lines[-4:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tuner", "gradient"], "Setting 'tune.tuner': expected to be 'random', 'bayesian', 'hyperband' or 'grid'"),
        (["--trials", "0"], "Setting 'tune.trials'"),
        (["--objective", "recal@5"], "unknown metric 'recal'. Did you mean 'recall'?"),
        (["--model", "gmff"], "Unknown model 'gmff'. Did you mean 'gmf'?"),
        (["--set", "tune.space.adt.epochs=1,2"], "A search cannot vary 'adt.epochs'"),
        (["--resume", "nowhere"], "nowhere is not the folder of a search: it has no config.json."),
        (["--resume", "nowhere", "--model", "gmf"], "Expected none but --trials beside it."),
        (["--data", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_mistakes_are_told_in_one_sentence(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert isinstance(result.exception, TfadtError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "searches").exists()


def test_a_terminal_gets_a_live_table(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(
        search_table, "Console", lambda: Console(file=screen, force_terminal=True, width=100, height=9, legacy_windows=False)
    )
    with search_table.search_progress(quiet=False) as listener:
        listener.say("[b]Reading[/b]")
        listener.begin("gmf-t_ce", "val_recall@5")
        for number in range(5):
            listener.trial_begin(str(number), {"policy.t_ce.max_drop_rate": number / 100})
            listener.trial_epoch(str(number), 0, {"val_recall@5": 0.25 + number / 1000})
            score = None if number == 3 else 0.5 - number / 1000
            listener.trial_end(str(number), score, "no luck" if number == 3 else None, 1.25)
        before = len(screen.getvalue())
        listener.end("gmf-t_ce")
    shown = screen.getvalue()
    assert "[b]Reading[/b]" in shown
    for text in ("gmf-t_ce", "max_drop_rate", "0.2540", "epoch 1", "0.4960", "failed: no luck"):
        assert text in shown
    # Nine lines hold three trials; at the end all five stay on the screen.
    assert all(f"{score:.4f}" in shown[before:] for score in (0.5, 0.499, 0.498, 0.496))
