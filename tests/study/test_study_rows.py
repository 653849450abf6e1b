"""The rows of a study: what each is searched and trained with, how often, and how long that takes."""

from pathlib import Path

import pandas as pd
import pytest

import tfadt
from tfadt.config.loading import load_config, settings_of
from tfadt.data.ingest import ingest
from tfadt.errors import ConfigError
from tfadt.experiments.plans import plans
from tfadt.study.budget import BUDGETS, ROWS, defaults
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
    trainings_of,
)
from tfadt.study.study import with_winners
from tfadt.tuning.progress import SearchProgress
from tfadt.tuning.space import search_space


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


def test_a_small_budget_chooses_a_strength_of_denoising_from_fewer_trainings():
    # Plain training and one power, against four powers and three policies (EASE: popularity alone).
    small, medium = load_config(below=defaults("small")), load_config(below=defaults("medium"))
    assert [trainings_of(model, "noise_model", small) for model in ("cdae", "ease")] == [2, 2]
    assert [trainings_of(model, "noise_model", medium) for model in ("cdae", "ease")] == [8, 6]
    assert [trainings_of("cdae", policy, small) for policy in ("standard", "t_ce")] == [1, 1]


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
