"""The verbs as a user types them: from a run to a served folder, and the mistakes on the way."""

import shutil

import pytest
from serving_cases import copy_export, seen_by_server
from typer.testing import CliRunner

from tfadt.cli.main import app
from tfadt.config import serving
from tfadt.errors import TfadtError
from tfadt.serving.contract import SIGNATURES
from tfadt.serving.served import recommend


def invoke(*arguments):
    """Runs the command in this process; a user's mistake comes back as the error that `main` prints."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit | TfadtError):
        raise result.exception
    return result


def test_from_a_run_to_a_served_folder(saved_run, tmp_path):
    out, to = tmp_path / "saved_models", tmp_path / "served"
    options = ("--model", "gmf-t_ce-0", "--k", 7, "--signatures", "recommend,score")
    result = invoke("export", saved_run.folder, "--out", out, *options)
    assert f"Exported to {out}/gmf/1. Next: tfadt verify {out}/gmf/1" in " ".join(result.stdout.split())
    result = invoke("verify", out / "gmf", "--seconds", 0.02)
    assert result.exit_code == 0, result.exception
    assert "recall@5" in result.stdout
    assert [line.split()[:3] for line in result.stdout.splitlines() if line.startswith("score")] == [
        ["score", batch, clients] for batch in ("1", "32") for clients in ("1", "2")
    ]
    assert invoke("push", out / "gmf" / "1", "--to", to, "--keep", 3).stdout == f"Pushed to {to}/gmf/1 as stable.\n"
    assert [path.name for path in seen_by_server(to / "gmf")] == ["1"]
    user = str(saved_run.data.users.ids[2])
    found = invoke("recommend", "--saved-model", to / "gmf", "--user", user, "--k", 4).stdout
    rows = [line.split()[1] for line in found.splitlines() if line[:1].isdigit()]
    assert rows == recommend(to / "gmf" / "1", user, 4)[0]
    of_the_run = invoke("recommend", saved_run.folder, "--model", "gmf-t_ce-0", "--user", user, "--k", 4).stdout
    assert rows == [line.split()[1] for line in of_the_run.splitlines() if line[:1].isdigit()]


def test_an_unknown_user_is_told_and_gets_the_most_popular(exports):
    found = invoke("recommend", "--saved-model", exports["gmf"], "--user", "nobody").stdout
    assert "user nobody (not known: the most popular items)" in found


def test_an_export_that_fails_is_told_in_one_sentence(exports, tmp_path):
    version = copy_export(exports["gmf"], tmp_path)
    (version / "variables" / "variables.index").write_bytes(b"x")
    result = invoke("verify", version, "--without-loader")
    assert f"{version} is not blessed. {version.with_name('1.blessing.json')} says why." in str(result.exception)
    assert "files: FAILED: " in result.stdout
    result = invoke("push", version, "--to", tmp_path / "to")
    assert "is not blessed: files: " in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "nowhere"], "nowhere is not the folder of a finished run"),
        (["verify", "nowhere"], "nowhere does not exist"),
        (["push", "nowhere", "--to", "x"], "nowhere does not exist"),
        (["push", "gmf", "--to", "x", "--rollback", "--keep", "1"], "pushes nothing. Received: --keep."),
        (["push", "gmf", "--to", "x", "--promote", "--label", "canary"], "--promote moves a label and pushes nothing."),
        (["push", "gmf", "--to", "x", "--label", "canry"], "Unknown label 'canry'. Did you mean 'canary'?"),
        (["push", "a/gmf", "--to", "x", "--rollback"], "The name of a served model has letters"),
        (["push", "nowhere", "--to", "x", "--metric", "ndcg@5"], "--metric and --tolerance go with --unless-worse-than"),
        (["recommend", "--user", "1"], "Expected the folder of a run or --saved-model, one of them."),
        (["recommend", "run", "--saved-model", "m", "--user", "1"], "Expected the folder of a run or --saved-model"),
        (
            ["recommend", "--saved-model", "m", "--user", "1", "--include-seen"],
            "--model, --include-seen and --collide go with a run",
        ),
        (["recommend", "--saved-model", "m", "--user", "1", "--k", "0"], "--k must be at least 1"),
    ],
)
def test_mistakes_are_told_in_one_sentence(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert isinstance(result.exception, TfadtError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_mistakes_about_an_export_are_told_in_one_sentence(saved_run, exports, tmp_path):
    for arguments, message in (
        (["export", saved_run.folder, "--out", tmp_path, "--k", 0], "export.k"),
        (["export", saved_run.folder, "--out", tmp_path, "--version", 0], "at least 1. Received: 0"),
        (["export", saved_run.folder, "--out", tmp_path, "--signatures", "skore"], "Did you mean 'score'?"),
        (["export", saved_run.folder, "--out", tmp_path, "--model", "gmf-t_ce-9"], "Did you mean 'gmf-t_ce-0'?"),
        (["recommend", "--saved-model", exports["gmf"], "--user", "1", "--k", 11], "The export ranks 10 items"),
    ):
        result = invoke(*arguments)
        assert isinstance(result.exception, TfadtError), arguments
        assert message in str(result.exception)
    shutil.rmtree(tmp_path / "gmf", ignore_errors=True)


def test_every_verb_has_help_with_an_example():
    for verb in ("export", "verify", "push", "recommend"):
        result = invoke(verb, "--help")
        assert f"Example: tfadt {verb}" in " ".join(result.stdout.split())


def test_the_settings_know_the_signatures_of_the_contract():
    assert set(serving.SIGNATURES) == set(SIGNATURES)
