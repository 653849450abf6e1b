"""The command as a user types it: a run in a real process, the other verbs on its folder, and what it refuses."""

import functools
import io
import json
import os
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from tfadt.cli.main import app
from tfadt.errors import TfadtError

SMALL = [
    f"--set={setting}"
    for setting in (
        "ingest.simulated.users=120",
        "ingest.simulated.items=60",
        "ingest.simulated.interactions=2500",
        "adt.preset=paper",
        "adt.epochs=2",
        "evaluate.k=5,10",
        "model.gmf.embedding_dim=8",
        "policy.t_ce.max_drop_rate=0.2",
    )
]


def tfadt(*arguments, cwd=None):
    """Runs the command in a process of its own."""
    command = [sys.executable, "-m", "tfadt.cli.main", *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=cwd)


def invoke(*arguments):
    """Runs the command in this process; a user's mistake comes back as the error that `main` prints."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit | TfadtError):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "run"
    result = tfadt("run", "--model", "gmf", "--policy", "standard,t_ce", *SMALL, "--out", out)
    assert result.returncode == 0, result.stderr
    return out, result


def test_run_prints_the_table_the_verdict_and_where_things_are(run_folder):
    out, result = run_folder
    assert "Simulated data, not real clicks" in result.stdout
    for text in ("popular", "gmf-t_ce-0: training, ", "gmf t_ce: recall@5 ", f"Written to {out}"):
        assert text in result.stdout
    deploy = json.loads((out / "results.json").read_text())["summary"]["deploy"]
    command = f"tfadt export {out} --model {deploy['training']} --out saved_models"
    assert command in result.stdout.splitlines()
    report = (out / "results.md").read_text()
    assert (
        f"To deploy: gmf {deploy['policy']} (the best recall on validation), which this exports:\n\n    {command}\n"
        in report
    )
    assert "drop rate: share of the rows that a policy left out" in report
    results = json.loads((out / "results.json").read_text())
    trained = [("gmf", "standard"), ("gmf", "t_ce")]
    assert [(r["model"], r["policy"]) for r in results["runs"]] == [("popular", None), *trained]


def test_run_prints_plain_lines_where_there_is_no_terminal(run_folder):
    _, result = run_folder
    assert "\x1b" not in result.stdout
    assert "\r" not in result.stdout
    # Of the ratings 1 to 5, drawn evenly, more than two in five are below 3.
    assert result.stderr.startswith("Warning: 57% of the interactions are false positives by rating below 3.")
    assert result.stderr.count("\n") == 1


def test_quiet_prints_the_result_alone(tmp_path):
    result = invoke("run", "--model", "gmf", "--policy", "standard", *SMALL, "--out", tmp_path / "run", "--quiet")
    assert result.exit_code == 0
    assert result.stdout.startswith("model ")
    assert "training, " not in result.stdout.split("Simulated data")[0]


def test_evaluate_gives_the_same_figures_and_other_cut_offs(run_folder):
    out, first = run_folder

    def figures(text):
        return [line.split()[:6] for line in text.splitlines() if line.startswith(("gmf  ", "popular"))]

    assert figures(invoke("evaluate", out).stdout) == figures(first.stdout)
    assert len(figures(first.stdout)) == 3
    assert "recall@3" in invoke("evaluate", out, "--k", "3", "--mask", "train").stdout


def test_recommend_lists_unseen_items_best_first(run_folder):
    out, _ = run_folder
    user = pd.read_parquet(out / "data" / "users.parquet")["id"].iloc[7]
    result = invoke("recommend", out, "--user", user, "--k", 4, "--model", "gmf-t_ce-0")
    lines = [line.split() for line in result.stdout.splitlines() if line[:1].isdigit()]
    assert [line[0] for line in lines] == ["1", "2", "3", "4"]
    scores = [float(line[2]) for line in lines]
    assert scores == sorted(scores, reverse=True)
    train = pd.read_parquet(out / "data" / "train.parquet")
    items = pd.read_parquet(out / "data" / "items.parquet")["id"]
    assert not set(items[train.loc[train["user"] == 7, "item"]].astype(str)) & {line[1] for line in lines}


def test_denoise_lists_every_training_row(run_folder, tmp_path):
    out, _ = run_folder
    for name in ("noise.csv", "noise.parquet"):
        assert "dropped" in invoke("denoise", out, "--model", "gmf-t_ce-0", "--out", tmp_path / name).stdout
    frame = pd.read_csv(tmp_path / "noise.csv")
    assert len(frame) == len(pd.read_parquet(out / "data" / "train.parquet"))
    assert frame["dropped"].mean() == pytest.approx(0.4, abs=0.01)
    printed = invoke("denoise", out, "--model", "gmf-t_ce-0", "--out", tmp_path / "noise.csv").stdout
    shares = [frame.loc[rows, "false_positive"].mean() for rows in (frame["dropped"], slice(None))]
    assert f"False positives: {shares[0]:.1%} of the dropped, {shares[1]:.1%} of all." in printed
    printed = invoke("denoise", out, "--model", "gmf-standard-0", "--out", tmp_path / "noise.csv").stdout
    assert "The policy standard drops nothing by its loss. Others, chosen with --model: gmf-t_ce-0" in printed


def test_ingest_writes_an_artifact_that_run_reads(tmp_path):
    log = tmp_path / "clicks.csv"
    rows = [(u, i, 1 + (u + i) % 5) for u in range(30) for i in range(20) if (u * i) % 3]
    pd.DataFrame(rows, columns=["uid", "item_id", "rating"]).to_csv(log, index=False)
    result = invoke("ingest", "--data", log, "--set", "ingest.columns.user=uid", "--out", tmp_path / "data")
    assert f"rows in: {len(rows)}" in result.stdout
    settings = ("--set=adt.preset=paper", "--set=adt.epochs=1")
    arguments = ("--model", "gmf", "--policy", "standard", *settings, "--out", tmp_path / "run")
    result = invoke("run", "--data", tmp_path / "data", *arguments)
    assert result.exit_code == 0
    assert "False positive: rating < 3" in result.stdout


def test_a_configuration_file_with_options_on_top(tmp_path):
    config = tmp_path / "run.toml"
    config.write_text("[adt]\nmodels = ['neumf']\npolicies = ['r_ce']\nepochs = 1\n[model.gmf]\nembedding_dim = 4\n")
    assert invoke("run", config, "--model", "gmf", *SMALL[:4], "--out", tmp_path / "run").exit_code == 0
    runs = json.loads((tmp_path / "run" / "results.json").read_text())["runs"]
    assert [(r["model"], r["policy"]) for r in runs[1:]] == [("gmf", "r_ce")]


def test_every_verb_has_help_with_an_example():
    for verb in ("run", "ingest", "evaluate", "recommend", "denoise", "tune"):
        result = invoke(verb, "--help")
        assert result.exit_code == 0
        assert f"Example: tfadt {verb}" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--data", "nowhere.csv"], "nowhere.csv"),
        (["run", "--model", "gmff"], "Unknown model 'gmff'. Did you mean 'gmf'?"),
        (["run", "--set", "adt.epoch=3"], "Did you mean"),
        (["run", "--set", "adt.epochs=ten"], "adt.epochs"),
        (["run", "--set", "adt.epochs"], "--set"),
        (["run", "--data", "a.csv", "--dataset", "movielens"], "data"),
        (["run", "--train", "a.tsv"], "valid"),
        (["run", "nowhere.toml"], "nowhere.toml does not exist"),
        (["run", "--resume", "study"], "study holds a study. Go on with it by the same `tfadt study` command as before."),
        (["drift", "nowhere", "--data", "x.csv", "--limit", "new_item=1"], "'new_item'. Did you mean 'new_items'"),
        (["drift", "nowhere", "--data", "x.csv", "--limit", "new_items=few"], "--limit new_items needs a number"),
        (["evaluate", "nowhere"], "nowhere is not the folder of a finished run: there is no such folder."),
        (["evaluate", "cut"], "it has no results.json. Go on with: tfadt run --resume cut"),
        (["denoise", "nowhere", "--out", "noise.txt"], "--out must end in .csv or .parquet. Received: 'noise.txt'."),
        (["denoise", "nowhere", "--out", "x", "--format", "recbol"], "Unknown format 'recbol'. Did you mean 'recbole'"),
        (["noise", "inject", "--data", "nowhere.csv", "--share", "2", "--out", "x.csv"], "between 0 and 1. Received: 2.0"),
    ],
)
def test_mistakes_are_told_in_one_sentence(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text("{}")
    (tmp_path / "cut" / "trainings").mkdir(parents=True)
    result = invoke(*arguments)
    assert isinstance(result.exception, TfadtError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_mistakes_about_a_run_are_told_in_one_sentence(run_folder):
    out, _ = run_folder
    for arguments, message in (
        (["recommend", out, "--user", "nobody"], "User 'nobody' does not occur in the training data"),
        (
            ["recommend", out, "--user", "1", "--model", "gmf-t_ce-1"],
            "has no model 'gmf-t_ce-1'. Did you mean 'gmf-t_ce-0'?",
        ),
        (["recommend", out, "--user", "1", "--k", "0"], "--k must be at least 1"),
        (["evaluate", out, "--k", "zero"], "evaluate.k"),
    ):
        result = invoke(*arguments)
        assert isinstance(result.exception, TfadtError), arguments
        assert message in str(result.exception)


def test_the_process_exits_with_2_and_one_line(tmp_path):
    result = tfadt("run", "--data", tmp_path / "nowhere.csv", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_unknown_option_exits_with_2():
    assert invoke("run", "--polcy", "t_ce").exit_code == 2


@pytest.mark.parametrize("verb", ["run", "tune", "study"])
def test_a_setting_taken_for_an_option_is_told_how_to_set_it(verb):
    for option, settings in {
        "--epochs": "--set warmup.epochs=... or --set adt.epochs=... or --set finetune.epochs=...",
        "--num-negatives": "--set adt.num_negatives=...",
        "--powers": "--set denoising.powers=...",
    }.items():
        result = invoke(verb, option, "3")
        assert result.exit_code == 2
        assert f"It is a setting: {settings}." in " ".join(result.stderr.replace("│", " ").split())


def test_misspelt_names_are_told_before_tensorflow_is_loaded(tmp_path):
    for verb in ("run", "tune", "study"):
        code = (
            "import sys; from tfadt.cli.main import app; from tfadt.errors import ConfigError\n"
            f"try: app(['{verb}', '--set', 'adt.policies=t_cee'], standalone_mode=False)\n"
            "except ConfigError as error: print(error, 'tensorflow' in sys.modules)"
        )
        told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert told.strip() == "Unknown policy 't_cee'. Did you mean 't_ce'? False"


def test_the_version():
    from tfadt import __version__

    assert invoke("--version").stdout.strip() == f"tfadt {__version__}"


def test_tables_are_never_cut_and_ids_are_no_markup(capsys):
    from tfadt.cli.console import print_table

    header = [f"a long header {n}" for n in range(20)]
    print_table(header, [[":apple:", "[b]x[/b]", *["y"] * 18]])
    out = capsys.readouterr().out
    assert all(name in out for name in header)
    assert ":apple:" in out
    assert "[b]x[/b]" in out


def test_many_users_come_out_as_csv_with_titles(run_folder, tmp_path):
    out, _ = run_folder
    ids = pd.read_parquet(out / "data" / "users.parquet")["id"].iloc[[7, 3]].tolist()
    items = pd.read_parquet(out / "data" / "items.parquet")["id"]
    (tmp_path / "users.txt").write_text("".join(f"{id_}\n" for id_ in ids))
    pd.DataFrame({"item_id": items, "title": [f"No. {i}" for i in items]}).to_csv(tmp_path / "titles.csv", index=False)
    files = ("--users", tmp_path / "users.txt", "--items-file", tmp_path / "titles.csv")
    result = invoke("recommend", out, *files, "--k", 3, "--model", "gmf-t_ce-0")
    frame = pd.read_csv(io.StringIO(result.stdout))
    assert list(frame) == ["user_id", "rank", "item_id", "score", "title"]
    assert frame["user_id"].tolist() == [ids[0]] * 3 + [ids[1]] * 3
    assert frame["rank"].tolist() == [1, 2, 3, 1, 2, 3]
    assert (frame["title"] == "No. " + frame["item_id"].astype(str)).all()
    single = invoke("recommend", out, "--user", ids[1], "--k", 3, "--model", "gmf-t_ce-0").stdout
    assert [line.split()[1] for line in single.splitlines() if line[:1].isdigit()] == [str(i) for i in frame["item_id"][3:]]
    (tmp_path / "users.txt").write_text(f"{ids[0]}\nnobody\n")
    assert "User 'nobody' does not occur" in str(invoke("recommend", out, *files).exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Expected --user or --users, one of them."),
        (["--user", "1", "--users", "f"], "Expected --user or --users, one of them."),
        (["--user", "1", "--k", str(2**63)], "--k must be at least 1 and at most 1,000,000."),
        (["--user", "\udcff"], "--user must be UTF-8 text."),
        (["--users", "f", "--collide"], "--collide explains one user's list."),
    ],
)
def test_recommend_refuses_what_it_cannot_answer(arguments, message, run_folder):
    assert message in str(invoke("recommend", run_folder[0], *arguments).exception)


def test_config_lists_every_setting_with_default_meaning_and_range():
    from tfadt.config import Config

    text = invoke("config").stdout
    for section, field in Config.model_fields.items():
        if section not in ("model", "policy", "method"):
            for name in field.annotation.model_fields:
                assert f"{section}.{name}" in text
    assert "Passes over the training interactions. (whole number, at least 1)" in text
    assert all(len(line) <= 80 for line in text.splitlines() if line.startswith("    "))
    one = invoke("config", "policy.t_ce.max_drop_rate").stdout
    assert one.startswith("policy.t_ce.max_drop_rate = 0.1\n    The largest drop rate (epsilon_max)")
    for policy in ("t_ce", "random_drop"):  # the control takes T-CE's settings, those of the preset too
        shown = invoke("config", f"policy.{policy}").stdout
        assert f'policy.{policy}.scope = "positives"' in shown
        assert "(one of batch, positives)" in shown
    for key, message in (("evlauate", "Did you mean 'evaluate'?"), ("policy.tce", "Did you mean 't_ce'?")):
        assert message in str(invoke("config", key).exception)


def test_every_setting_has_a_meaning():
    from tfadt.config.listing import settings

    listed = [*settings(), *(each for name in ("model.gmf", "policy.t_ce") for each in settings(name))]
    assert [each.key for each in listed if not each.meaning] == []


def test_h_is_help():
    for arguments in (["-h"], ["run", "-h"], ["pipeline", "-h"]):
        assert invoke(*arguments).stdout.startswith("Usage: ")


def test_a_table_wider_than_the_terminal_is_printed_in_pieces(monkeypatch, capsys):
    from tfadt.cli import console

    terminal = functools.partial(console.Console, force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "Console", lambda width=80: terminal(width=width))
    header = ["model", "policy", *(f"recall@{k}" for k in range(8))]
    console.print_table(header, [["gmf", "t_ce", *["0.1234 ± 0.0001"] * 8]], keys=2)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("gmf" in line and "t_ce" in line for line in lines) > 1
    assert all(sum(name in line for line in lines) == 1 for name in header[2:])
