"""A study: every row with one budget, gone on with after a kill to the same figures, and its page."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
from report_cases import Page, unknown_in_figures, unknown_numbers
from soak import EVERY
from typer.testing import CliRunner

from tfadt.cli.main import app
from tfadt.config.loading import load_config
from tfadt.data import artifact
from tfadt.data.ingest import ingest
from tfadt.errors import ConfigError, DataError
from tfadt.report.page import write_page
from tfadt.study.injection import Injection, plan_injection, separation

SMALL = (
    "ingest.simulated.users=100",
    "ingest.simulated.items=50",
    "ingest.simulated.interactions=2000",
    "adt.preset=paper",
    "adt.models=ease,gmf",
    "adt.policies=standard,t_ce,random_drop",
    "adt.epochs=1",
    "adt.seeds=1",
    "tune.trials=1",
    "study.injected_share=0",
    "evaluate.k=5",
)
SOLVED = (*SMALL[:3], "adt.models=popular,ease", "adt.policies=standard,popularity", "tune.trials=2", "evaluate.k=5")
"""A study of closed forms, which takes a moment."""


def study(out, *settings, jobs=1, base=SMALL):
    given = [argument for setting in (*base, *settings) for argument in ("--set", setting)]
    return CliRunner().invoke(app, ["study", "--simulate", *given, "--out", str(out), "--jobs", str(jobs)])


class Killed(BaseException):
    """What no handler of ours catches: the process is gone."""


def uncut(out, base):
    result = study(out, base=base)
    assert result.exit_code == 0, result.output
    return out, result.output


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return uncut(tmp_path_factory.mktemp("study") / "study", SMALL)


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    return uncut(tmp_path_factory.mktemp("solved") / "study", SOLVED)


BASES = pytest.mark.parametrize(("uncut_study", "base"), [("solved", SOLVED), *([("finished", SMALL)] if EVERY else [])])
"""Studies of closed forms, and in `make soak` of a model that trains by steps as well."""


def test_a_study_says_what_it_will_do_and_trains_every_row_with_its_best_settings(finished):
    out, printed = finished
    assert "3 trials in 3 searches, then 5 trainings with the settings that won: about " in printed
    assert "1 training left, about " in printed
    results = json.loads((out / "results.json").read_text())
    trained = {(run["model"], run["policy"], run["seed"]) for run in results["runs"] if run["policy"] is not None}
    gmf = {("gmf", policy, 0) for policy in ("standard", "t_ce", "random_drop")}
    assert trained == gmf | {("ease", policy, 0) for policy in ("standard", "random_drop")}
    settings = {(each["model"], each["policy"]): each["settings"] for each in results["summary"]["settings"]}
    # Rows of one model differ in the policy alone.
    rates = {settings["gmf", policy]["adt.learning_rate"] for policy in ("standard", "t_ce", "random_drop")}
    assert len(rates) == 1
    drop = settings["gmf", "t_ce"]["policy.t_ce.max_drop_rate"]
    assert results["config"]["method"]["gmf-t_ce"]["policy.t_ce.max_drop_rate"] == drop
    # The control drops as many.
    assert settings["gmf", "random_drop"]["policy.random_drop.max_drop_rate"] == drop
    assert [each["trials"] for each in results["tuned"]["searches"]] == [1, 1, 1]


def test_the_page_of_a_study_tells_of_the_search(finished):
    out, _ = finished
    page = Page(out / "report.html")
    assert page.source.startswith("<!doctype html>")
    assert unknown_numbers(page, json.loads((out / "results.json").read_text())) == []
    assert "How they were found" in [text for _, text in page.headings]
    assert "tfadt study · simulated clicks" in page.text


def figures(out):
    """Returns what `results.json` holds but for times."""

    def untimed(content):
        if isinstance(content, dict):
            return {key: untimed(value) for key, value in content.items() if key != "seconds"}
        return [untimed(value) for value in content] if isinstance(content, list) else content

    return untimed(json.loads((out / "results.json").read_text()))


def test_the_same_command_trains_nothing_twice(finished, monkeypatch):
    out, _ = finished
    before = figures(out)
    for training in ("tuning.hypermodel.train_stage", "experiments.trainings.train", "study.timing.train"):
        monkeypatch.setattr(f"tfadt.{training}", None)
    result = study(out)
    assert result.exit_code == 0, result.output
    assert figures(out) == before


@BASES
def test_a_study_that_was_killed_in_every_phase_ends_with_the_same_figures(uncut_study, base, request, tmp_path):
    out, expected = tmp_path / "study", figures(request.getfixturevalue(uncut_study)[0])
    # Before the search, after it, in the midst of the trainings, on injected noise and after it, and before the page.
    for place in (
        "study.study._countdown",
        "study.study._train",
        "experiments.trainings.measure",
        *(["study.study.injected_config", "study.study.caught"] if base is SOLVED else []),
        "study.study.write_page",
    ):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(f"tfadt.{place}", kill_the_last if place.endswith("write_page") else kill)
            with pytest.raises(Killed):
                study(out, base=base)
        assert not (out / "report.html").exists()
    result = study(out, base=base)
    assert result.exit_code == 0, result.output
    found = figures(out)
    found["config"]["ingest"]["data"] = expected["config"]["ingest"]["data"]
    assert found == expected


@BASES
def test_a_study_in_two_processes_has_the_figures_of_one_in_one(uncut_study, base, request, tmp_path, monkeypatch):
    def here(task, contents, jobs, listeners):
        """Does the tasks in this process, the last one first: tests of processes have real ones."""
        module, _, name = task.partition(":")
        for of, content in reversed(contents.items()):
            do = getattr(importlib.import_module(module), name)

            def tell(method, *told, listener=listeners[of]):
                getattr(listener, method)(*json.loads(json.dumps(told)))

            yield of, do(json.loads(json.dumps(content)), tell)

    for user in ("tuning.search", "experiments.trainings", "study.timing"):
        monkeypatch.setattr(f"tfadt.{user}.side_by_side", here)
    alone, printed = request.getfixturevalue(uncut_study)
    out, expected = tmp_path / "study", figures(alone)
    result = study(out, jobs=2, base=base)
    assert result.exit_code == 0, result.output
    assert "on this machine, in 2 processes." in result.output
    assert f"{'ease-standard' if base is SOLVED else 'gmf-t_ce'} trial 0" in result.output
    assert f"{4 if base is SOLVED else 5} trainings in 2 processes" in result.output
    # Each is told as it ends, here the last one first.
    told = [line.partition(":")[0] for line in result.output.splitlines() if ": recall@5 " in line]
    one_by_one = [line.partition(":")[0] for line in printed.splitlines() if ": recall@5 " in line]
    assert told != one_by_one
    assert sorted(told) == sorted(one_by_one)
    found = figures(out)
    found["config"]["ingest"]["data"] = expected["config"]["ingest"]["data"]
    assert found == expected


def kill(*_, **__):
    raise Killed


def kill_the_last(results, folder, title=None):
    """Kills before the page of the study, not before that of its run on injected noise, which has no title of its own."""
    if title is not None:
        raise Killed
    write_page(results, folder)


def test_a_study_tries_its_policies_on_noise_of_known_truth(solved):
    out, printed = solved
    assert "and 2 on a copy of the log with injected noise: about " in printed
    results = json.loads((out / "results.json").read_text())
    injected = results["injected"]
    assert [(each["model"], each["policy"]) for each in injected["policies"]] == [
        ("ease", "standard"),
        ("ease", "popularity"),
    ]
    assert 0.15 < injected["share"] < 0.25
    page = Page(out / "report.html")
    assert "Noise of known truth" in [text for _, text in page.headings]
    assert unknown_numbers(page, results) == []
    assert unknown_in_figures(out, results) == []
    drawn = {path.stem for path in (out / "figures").glob("*.csv")}
    assert {"injected", "settings_ease"} <= drawn
    tried = pd.read_csv(out / "figures" / "settings_ease.csv")
    (search,) = (each for each in results["tuned"]["searches"] if (each["model"], each["policy"]) == ("ease", "popularity"))
    assert dict(zip(tried["value"], tried["score"], strict=True)) == {
        trial["settings"]["policy.popularity.gamma"]: trial["score"] for trial in search["tried"]
    }


def test_a_false_positive_is_caught_where_it_is_among_the_least_trusted():
    # Two false ones: the first is the least trusted of all, the second as little trusted as a true one.
    found = separation(np.array([3.0, 2, 2, 1, 0]), np.array([True, True, False, False, False]))
    assert found == {"caught": (1 + 0.5) / 2, "random": 2 / 5, "auc": pytest.approx((3 + 2.5) / 6)}
    assert separation(np.ones(3), np.zeros(3, bool)) == {"caught": None, "random": 0.0, "auc": None}


def test_noise_is_injected_where_the_budget_affords_it(tmp_path):
    frame = pd.DataFrame({"user_id": [n // 5 for n in range(100)], "item_id": [(n * 7 + n // 5) % 23 for n in range(100)]})
    data, folder = ingest(frame), tmp_path / "noisy"

    def plan(hours=1.0, policies=("standard", "popularity"), spent=0.0, data=data, share=0.2, model="ease"):
        config = load_config(None, ["adt.models=ease,ials", f"study.injected_share={share}"])
        asked = [("ease", "standard"), *((model, policy) for policy in policies)]
        seconds = {"ease": (10.0, 10.0), "ials": (30.0, 30.0)}
        return plan_injection(config, asked, data, seconds, folder, 1, hours, spent)

    assert plan(hours=19 / 3600).why.startswith("about 20 s are expected of it, and all is to end within 0.00527")
    assert plan(hours=0.01, spent=17.0).why.startswith("about 20 s")  # 36 s in all
    assert not folder.exists()
    assert plan(hours=0.01, spent=16.0) == Injection("ease", ("standard", "popularity"))
    assert artifact.load(folder).train.false_positive.any()
    # The model of most policies, not the fastest.
    assert plan(model="ials") == Injection("ials", ("standard", "popularity"))
    assert plan(policies=("standard", "clean_only", "random_drop")).why == "no policy of the study denoises"
    assert plan(share=0).why == "it was not asked for (study.injected_share)"
    every = pd.DataFrame([(user, item) for user in range(9) for item in range(9)], columns=["user_id", "item_id"])
    folder = tmp_path / "full"
    assert plan(data=ingest(every)).why == "No user has an item left that it has not clicked"


def study_of(folder, **splits):
    """Studies the most popular items of three files without feedback, given as rows of `user,item`."""
    given = ["--set", "adt.models=popular", "--set", "evaluate.k=1"]
    for name, rows in splits.items():
        (folder / f"{name}.csv").write_text("\n".join(["user_id,item_id", *rows.split()]) + "\n")
        given += [f"--{name}", str(folder / f"{name}.csv")]
    return CliRunner().invoke(app, ["study", *given, "--out", str(folder / "study")])


def test_two_users_without_feedback_have_a_study(tmp_path):
    result = study_of(tmp_path, train="a,x a,y b,y b,z", valid="b,x", test="a,z")
    assert result.exit_code == 0, result.output
    page = Page(tmp_path / "study" / "report.html")
    assert "What this page cannot answer, and how to get there" in [text for _, text in page.headings]
    assert unknown_numbers(page, json.loads((tmp_path / "study" / "results.json").read_text())) == []


def test_a_study_of_one_item_says_that_there_is_nothing_to_rank(tmp_path):
    result = study_of(tmp_path, train="a,x b,x", valid="c,x", test="d,x")
    assert isinstance(result.exception, DataError)
    assert "have 2 users and 1 items. Expected at least 2 u" in str(result.exception)


def test_other_settings_in_the_folder_of_a_study_are_refused(finished):
    out, _ = finished
    result = study(out, "adt.seeds=3")
    assert isinstance(result.exception, ConfigError)
    assert "holds a study with other settings" in str(result.exception)


def test_a_study_whose_data_cannot_be_read_is_begun_anew_with_other_settings(tmp_path):
    out = tmp_path / "study"
    log = tmp_path / "clicks.csv"
    log.write_text("who,item_id\n1,2\n2,2\n")
    for settings, message in (([], "user_id"), (["--set", "ingest.columns.user=nobody"], "nobody")):
        result = CliRunner().invoke(app, ["study", "--data", str(log), "--out", str(out), *settings])
        assert message in str(result.exception)
        assert "other settings" not in str(result.exception)


def test_an_unknown_budget_is_refused():
    result = CliRunner().invoke(app, ["study", "--simulate", "--budget", "huge"])
    assert "--budget expects one of small, medium, large. Received: 'huge'." in str(result.exception)


def test_a_model_that_takes_too_long_is_left_out_and_the_page_says_so(tmp_path):
    given = [argument for setting in SMALL for argument in ("--set", setting)]
    out = tmp_path / "study"
    result = CliRunner().invoke(app, ["study", "--simulate", *given, "--out", str(out), "--hours", "0"])
    assert result.exit_code == 0, result.output
    assert "gmf is left out: about " in result.output
    assert "and all is to end within 0 h (--hours)." in result.output
    results = json.loads((out / "results.json").read_text())
    assert {run["model"] for run in results["runs"]} == {"popular", "ease"}
    assert "all is to end within 0 h" in Page(out / "report.html").text
