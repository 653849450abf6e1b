"""A study: every row with one budget, gone on with after a kill to the same figures, and its page."""

import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_cases import Page, unknown_in_figures, unknown_numbers
from soak import EVERY
from typer.testing import CliRunner

import tfadt
from tfadt.cli.main import app
from tfadt.config.loading import load_config, settings_of
from tfadt.data import artifact
from tfadt.data.ingest import ingest
from tfadt.errors import ConfigError, DataError
from tfadt.experiments.plans import plans
from tfadt.report.page import write_page
from tfadt.study.budget import BUDGETS, ROWS, defaults
from tfadt.study.injection import Injection, plan_injection, separation
from tfadt.study.progress import Countdown, CountedSearch, duration
from tfadt.study.rows import (
    counts,
    expected_of_models,
    impossible,
    of_models,
    searched_policies,
    slowest,
    spared_controls,
    spelt_out,
    taken_over,
)
from tfadt.study.study import with_winners
from tfadt.tuning.progress import SearchProgress
from tfadt.tuning.space import search_space

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
    for training in ("tuning.hypermodel.train_stage", "experiments.trainings.train", "study.rows.train"):
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

    for user in ("tuning.search", "experiments.trainings"):
        monkeypatch.setattr(f"tfadt.{user}.side_by_side", here)
    alone, printed = request.getfixturevalue(uncut_study)
    out, expected = tmp_path / "study", figures(alone)
    result = study(out, jobs=2, base=base)
    assert result.exit_code == 0, result.output
    assert "on this machine, in 2 processes." in result.output
    assert f"{'ease-standard' if base is SOLVED else 'gmf-t_ce'} trial 0" in result.output
    assert f"{4 if base is SOLVED else 5} trainings in 2 processes" in result.output
    # The last is finished first, and yet told in the order of one process.
    told = [line.partition(":")[0] for line in result.output.splitlines() if ": recall@5 " in line]
    assert told == [line.partition(":")[0] for line in printed.splitlines() if ": recall@5 " in line]
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


def test_every_row_has_the_same_budget_and_settings_of_ones_own_win():
    for name, budget in BUDGETS.items():
        config = load_config(base={"adt": {"models": ["gmf"]}}, below=defaults(name))
        assert (config.tune.trials, config.adt.seeds, config.adt.models) == (budget.trials, budget.seeds, ("gmf",))
        assert set(config.adt.policies) <= set(ROWS["policies"])


def test_a_control_is_not_searched_for_but_takes_the_settings_of_its_policy():
    config = load_config(None, ["adt.models=gmf,ease", "adt.policies=standard,t_ce,random_drop,clean_only"])
    assert searched_policies(config) == [("gmf", "t_ce")]
    assert taken_over("gmf", "random_drop", config) == ("gmf", "t_ce")
    assert taken_over("gmf", "t_ce", config) == ("gmf", "t_ce")
    alone = load_config(None, ["adt.models=gmf", "adt.policies=standard,random_drop"])
    assert searched_policies(alone) == [("gmf", "random_drop")]


def test_controls_are_of_every_model_or_of_the_best_that_is_trained_by_steps():
    given = ["adt.models=gmf,neumf,ease", "adt.policies=standard,t_ce,random_drop,clean_only"]
    scores = {"gmf": 0.2, "neumf": 0.1, "ease": 0.3}
    assert spared_controls(load_config(None, given), scores) == []
    best = load_config(None, [*given, "study.controls=best"])
    assert spared_controls(best, scores) == [("neumf", "random_drop"), ("neumf", "clean_only")]
    assert spared_controls(best, {"ease": 0.3}) == []  # every trial of the others failed
    assert [load_config(below=defaults(name)).study.controls for name in BUDGETS] == ["best", "all", "all"]


@pytest.mark.parametrize(("preset", "varies"), [("paper", False), ("strong", True)])
def test_the_number_of_negatives_is_one_that_every_policy_of_the_study_takes(preset, varies):
    # T-CE's rate is a share of all rows of a batch under `paper`: with 16 negatives a row less than the least it would try.
    config = load_config(None, [f"adt.preset={preset}", "adt.models=neumf", "adt.policies=standard,t_ce"])
    assert ("adt.num_negatives" in search_space(of_models(config), "neumf", "standard")) == varies
    alone = load_config(None, [f"adt.preset={preset}", "adt.models=neumf", "adt.policies=standard,r_ce"])
    assert "adt.num_negatives" in search_space(of_models(alone), "neumf", "standard")


def test_policies_that_the_data_do_not_allow_are_named_with_the_reason():
    frame = pd.DataFrame({"user_id": [1, 1, 1, 2, 2, 2], "item_id": [1, 2, 3, 1, 2, 3]})
    data = ingest(frame)
    left = impossible(["standard", "clean_only", "nr"], data, load_config())
    assert list(left) == ["clean_only", "nr"]
    assert "needs feedback" in left["clean_only"]


def test_a_noise_model_that_knows_too_little_is_left_out_before_anything_is_searched():
    frame = pd.DataFrame(
        {"user_id": [n // 8 for n in range(80)], "item_id": [n % 8 for n in range(80)], "rating": [1, 5] * 40}
    )
    left = impossible(["standard", "popularity", "noise_model"], ingest(frame), load_config())
    assert list(left) == ["noise_model"]
    assert "at least 50 known clicks. Received: " in left["noise_model"]


def test_settings_of_a_method_win_over_the_others_and_are_checked():
    rows = {"gmf-t_ce": {"adt.learning_rate": 0.01, "policy.t_ce.max_drop_rate": 0.3}}
    base = {"adt": {"preset": "paper", "models": ["gmf"], "policies": ["standard", "t_ce"]}}
    config = load_config(base={**base, "method": rows})
    assert len(plans(config)) == 2
    assert settings_of(config, "gmf", "t_ce").adt.learning_rate == 0.01
    assert settings_of(config, "gmf", "standard").adt == config.adt
    for wrong, message in (
        ({"gmf-tce": {}}, "Unknown section 'method.gmf-tce'. Did you mean 'gmf-t_ce'"),
        ({"gmf-t_ce": {"evaluate.k": 3}}, "all else is of the run"),
        ({"gmf-t_ce": {"adt.learning_rat": 3}}, "Section 'method.gmf-t_ce'"),
    ):
        with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
            plans(load_config(base={**base, "method": wrong}))


def test_the_countdown_counts_trials_and_trainings_at_the_pace_of_their_models():
    lines = []
    seconds = {"gmf-t_ce": (10.0, 30.0), "ease-standard": (2.0, 2.0)}
    countdown = Countdown(seconds, {"gmf-t_ce": 2, "ease-standard": 3}, {"gmf-t_ce": 5}, 2, lines.append)
    assert countdown.expected() == (2 * 10 + 3 * 2 + 5 * 10) / 2
    assert countdown.span() == "38 s to 2 min"  # 76 and 216 s in two processes
    heard = CountedSearch(SearchProgress(), countdown)
    gmf, ease = heard.beside(), heard.beside()
    gmf.begin("gmf-t_ce", "val_recall@20")
    ease.begin("ease-standard", "val_recall@20")
    gmf.trial_end("0", 0.1, None, 20.0)  # twice as slow as expected, which says nothing of EASE
    assert countdown.expected() == (2 * (10 + 50) + 6) / 2
    assert lines == ["9 trainings left, about 63 s"]
    ease.trial_end("0", 0.1, None, 1.0)  # twice as fast
    assert countdown.expected() == (2 * (10 + 50) + 4 / 2) / 2
    gmf.end("gmf-t_ce")  # the other trial was made before a kill
    assert countdown.expected() == (2 * 50 + 4 / 2) / 2


def test_a_search_has_no_more_trials_than_there_are_combinations():
    config = load_config(None, ["adt.models=gmf,popular", "adt.policies=standard,t_ce,r_ce", "tune.trials=10"])
    # T-CE: 3 rates and 4 ramps. R-CE: 7 powers. Plain GMF varies a learning rate in a range; popularity varies nothing.
    expected = {"gmf-standard": 10, "popular-standard": 1, "gmf-t_ce": 10, "gmf-r_ce": 7}
    assert counts(config, {})[0] == expected


def test_what_follows_the_searches_has_the_controls_of_one_model():
    given = ["adt.models=gmf,neumf", "adt.policies=standard,random_drop", "adt.seeds=3", "study.controls=best"]
    config = load_config(None, given)
    plain = {"gmf-standard": 3, "neumf-standard": 3}
    assert counts(config, {"gmf": 0.2, "neumf": 0.1})[1] == plain | {"gmf-random_drop": 3}
    # Before that is known the control of the slower one is expected: 3 trials of each, the control's too, 6 trainings.
    config = load_config(None, [*given, "tune.trials=3"])
    assert expected_of_models(config, {"gmf": (1.0, 9.0), "neumf": (10.0, 90.0)}) == {"gmf": 9.0, "neumf": 120.0}


def test_the_slowest_models_go_until_the_others_end_in_time():
    config = load_config(None, ["adt.models=gmf,ease", "adt.policies=standard,t_ce", "adt.seeds=5", "tune.trials=3"])
    # GMF: 3 trials and 5 trainings under each policy, of 10 s at least; EASE takes plain training alone, 3 trials and one
    # training of 2 s.
    expected = expected_of_models(config, {"gmf": (10.0, 60.0), "ease": (2.0, 2.0)})
    assert expected == {"gmf": 160.0, "ease": 8.0}
    assert slowest(expected, 168.0) == {}
    assert slowest(expected, 167.0) == {"gmf": 160.0}
    assert slowest(expected, 0.0) == {"gmf": 160.0}  # one stays


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


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (720, "12 min"), (5400, "1.5 h")])
def test_times_are_short(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("name", ["ml100k", "modcloth"])
def test_the_shipped_studies_can_be_begun(name):
    config = load_config(Path(tfadt.__file__).parent.parent / "pipelines" / "configs" / "paper" / f"{name}.toml")
    # Three models under five policies, six ways to train GMF on extra feedback, NMTR and NR, with five seeds.
    assert len(plans(config)) == (3 * 5 + 6 + 2) * 5
    of_three = [(model, policy) for model in ("gmf", "neumf", "cdae") for policy in ("t_ce", "r_ce")]
    assert searched_policies(config) == [*of_three, ("gmf", "nr")]


def test_every_plan_of_a_row_trains_with_the_settings_that_won_for_it():
    asked = load_config(None, ["adt.models=gmf", "adt.policies=standard,t_ce", "adt.plans=adt,warmup+adt"])
    config = spelt_out(asked)
    assert config.adt.trainings == ("gmf-standard", "gmf-standard-warmup+adt", "gmf-t_ce", "gmf-t_ce-warmup+adt")
    winners = with_winners(config, {"gmf-t_ce": {"policy.t_ce.max_drop_rate": 0.3}}, Path("data"))
    assert [plan.name for plan in plans(winners)] == ["gmf-t_ce-0", "gmf-t_ce-warmup+adt-0"]
    assert settings_of(winners, "gmf", "t_ce").policy["t_ce"]["max_drop_rate"] == 0.3
    assert spelt_out(config, {"t_ce"}).adt.trainings == ("gmf-standard", "gmf-standard-warmup+adt")
    with pytest.raises(ConfigError, match="none of the trainings"):
        spelt_out(config, {"gmf"})
