"""Models in closed form beside one that trains by steps: one protocol, one folder, one table."""

import numpy as np
import pandas as pd
import pytest

from tfadt.config.loading import load_config
from tfadt.data import artifact
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.protocol import test_evaluator as evaluator_of_test
from tfadt.experiments.collide import collide
from tfadt.experiments.comparison import rows
from tfadt.experiments.denoise import noise_scores
from tfadt.experiments.experiment import evaluate_again, most_popular, resume_experiment, run_experiment
from tfadt.experiments.plans import plans
from tfadt.experiments.report import verdict_lines, write_report
from tfadt.experiments.saved import SavedRun
from tfadt.models.ease import EASE
from tfadt.training.plan import Plan, make_policy
from tfadt.training.stages import train
from tfadt.tuning.search import check, run_search

SIMULATED = [
    "ingest.simulated.users=120",
    "ingest.simulated.items=60",
    "ingest.simulated.interactions=2500",
    "evaluate.k=5,20",
]
SMALL = [
    *SIMULATED,
    "adt.preset=paper",
    "adt.epochs=1",
    "adt.models=gmf,ease,ials,popular",
    "model.gmf.embedding_dim=8",
    "model.ials.embedding_dim=8",
]


def names(*settings):
    return [plan.name for plan in plans(load_config(None, [*SMALL, *settings]))]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    config = load_config(None, [*SMALL, "adt.policies=standard,t_ce", "adt.seeds=2"])
    data, runs = run_experiment(config, out)
    return out, config, data, runs, write_report(config, data, runs, out)


def test_a_closed_form_has_one_row_and_another_seed_only_where_that_matters():
    expected = ["popular-standard-0", "gmf-standard-0", "gmf-t_ce-0", "ease-standard-0", "ials-standard-0"]
    expected += ["gmf-standard-1", "gmf-t_ce-1", "ials-standard-1"]
    assert names("adt.policies=standard,t_ce", "adt.seeds=2") == expected
    assert names("adt.policies=t_ce") == ["popular-standard-0", "gmf-t_ce-0", "ease-standard-0", "ials-standard-0"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["adt.trainings=ease-t_ce"], "'ease' is solved in closed form: there is no loss of a row.*Received: 't_ce'"),
        (["adt.plans=adt+finetune"], r"there are no weights to go on from.*Received: adt\+finetune"),
        (["adt.start_from=earlier"], "there are no weights to start from.*Received: earlier"),
        (["model.ease.lamda=3"], "Unknown setting model.ease.lamda. Did you mean 'lambda_'"),
        (["model.ease.lambda_=-3"], "lambda_ must be above 0. Received: -3"),
    ],
)
def test_what_does_not_fit_a_closed_form_is_refused_before_data_are_read(settings, message):
    with pytest.raises(ConfigError, match=message):
        plans(load_config(None, [*SMALL, *settings]))


def test_a_stage_of_a_pipeline_refuses_it_as_well(finished):
    _, config, data, _, _ = finished
    with pytest.raises(ConfigError, match=r"such as 'standard'\. Received: 't_ce'"):
        train(Plan("ease", "t_ce", 0), data, config)


def test_each_leaves_its_model_its_candidates_and_a_row(finished):
    out, config, data, runs, results = finished
    by_name = {run.name: run for run in runs}
    logs = pd.read_parquet(out / "training.parquet")
    for model in ("ease", "ials", "popular"):
        run = by_name[f"{model}-standard-0"]
        assert run.selection == "expected_val_recall"
        assert run.valid_recall == run.selection_score > 0
        assert (out / "models" / f"{model}-standard-0.keras").is_file()
        assert list((out / "logs" / run.name).rglob("events*"))
        assert 0 < run.metrics["recall@5"] <= run.metrics["recall@20"] <= 1
    tried = logs[(logs["model"] == "ease") & (logs["seed"] == 0)]
    assert tuple(tried["lambda_"]) == EASE.grid["lambda_"]
    assert tried["selection_score"].max() == by_name["ease-standard-0"].selection_score
    assert [run.name for run in runs if run.is_floor] == [runs[0].name] == ["popular-standard-0"]
    assert by_name["popular-standard-0"].metrics == pytest.approx(
        most_popular(data, evaluator_of_test(data, config)).metrics
    )
    assert [(r["model"], r["seed"]) for r in results["runs"]].count(("ease", 0)) == 1
    compared = {(c["model"], c["policy"], c["baseline"]) for c in results["comparisons"]}
    methods = [("gmf", "standard"), ("gmf", "t_ce"), ("ease", "standard"), ("ials", "standard")]
    assert compared == {("gmf", "t_ce", "standard"), *((*method, "popular") for method in methods)}
    text = (out / "results.md").read_text()
    assert "| ease | standard |" in text
    assert "- popular, ease, ials: solved in closed form, without a loss of a row: t_ce does not apply." in text
    assert data.num_users == 120


def test_a_policy_that_none_of_the_models_takes_is_told(finished):
    _, config, _, runs, _ = finished
    solved = [row for row in rows(runs) if row.model in ("popular", "ease")]
    told = "popular, ease: solved in closed form, without a loss of a row: t_ce does not apply."
    assert told in verdict_lines(solved, [], 20, config)
    named = config.model_copy(update={"adt": config.adt.model_copy(update={"trainings": ("ease-standard",)})})
    assert told not in verdict_lines(solved, [], 20, named)


def test_saved_models_rank_as_the_run_did_and_recommend(finished):
    out, _, data, runs, _ = finished
    _, table = evaluate_again(out)
    for row in table:
        values = [run.metrics["ndcg@5"] for run in runs if (run.model, run.policy) == (row.model, row.policy)]
        assert row.metrics["ndcg@5"][0] == pytest.approx(np.mean(values), abs=1e-12)
    model = SavedRun.open(out).load_model("ials-standard-1")
    assert len(model.recommend(data.users.ids[:2], 3)) == 6


def test_noise_scores_go_by_the_score_and_drop_nothing(finished):
    out, config, data, _, _ = finished
    model, policy = SavedRun.open(out).load_model("ease-standard-0"), make_policy("standard", config)
    scores = noise_scores(model, data, config.adt, policy, 1)
    assert len(scores) == len(data.train)
    assert not scores["dropped"].any()


def test_a_run_that_was_cut_solves_what_is_left(finished, tmp_path):
    _, config, _, runs, _ = finished
    cut = config.model_copy(update={"adt": config.adt.model_copy(update={"models": ("ials", "ease"), "seeds": 1})})

    def stop(data, runs):
        if len(runs) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(cut, tmp_path / "cut", after_each=stop)
    _, resumed = resume_experiment(tmp_path / "cut")
    first = {run.name: run.metrics for run in runs}
    assert [run.name for run in resumed] == ["popular", "ials-standard-0", "ease-standard-0"]
    # The floor is the same whether it was asked for or not.
    assert resumed[0].metrics == first["popular-standard-0"]
    assert all(run.metrics == first[run.name] for run in resumed[1:])


def test_warm_up_gives_the_space_that_colliding_inference_needs(tmp_path):
    settings = ["adt.plans=warmup+adt", "adt.policies=standard", "collide.enabled=true", "collide.neighbors=1,3"]
    config = load_config(None, [*SMALL, *settings, "ingest.extra_feedback.share=0.3", "adt.models=ease,ials"])
    run_experiment(config, tmp_path / "run")
    data, runs = resume_experiment(tmp_path / "run")
    write_report(config, data, runs, tmp_path / "run")
    saved = SavedRun.open(tmp_path / "run")
    found = collide(saved)
    assert {each.model for each in found} == {"ease", "ials"}
    assert saved.warmup_space("ease-standard-warmup+adt-0").shape == (120, 60)
    assert saved.warmup_space("ials-standard-warmup+adt-0").shape == (120, 8)
    assert all(0 <= each.choice.lambda_ <= 1 for each in found)


def test_without_validation_a_value_is_asked_for(tmp_path):
    settings = ["adt.models=ease", "ingest.split.valid=0", "adt.selection=last"]
    with pytest.raises(DataError, match="EASE chooses lambda_ on validation"):
        run_experiment(load_config(None, [*SMALL, *settings]), tmp_path / "without")
    _, runs = run_experiment(load_config(None, [*SMALL, *settings, "model.ease.lambda_=100"]), tmp_path / "with")
    assert (runs[1].selection, runs[1].selection_score, runs[1].valid_recall) == ("last", None, None)


def test_searches_vary_what_the_model_has_and_nothing_of_steps(finished, tmp_path):
    _, _, data, _, _ = finished
    artifact.save(data, tmp_path / "data")
    settings = [*SIMULATED, f"ingest.data={tmp_path / 'data'}", "adt.models=ease,popular", "adt.policies=standard,t_ce"]
    found = run_search(load_config(None, [*settings, "tune.trials=2"]), tmp_path / "search")
    tried = {search.model: [set(trial.settings) for trial in search.trials] for search in found.searches}
    assert tried == {"ease": [{"model.ease.lambda_"}] * 2, "popular": [set()]}
    assert all(trial.score > 0 for search in found.searches for trial in search.trials)
    with pytest.raises(ConfigError, match="hyperband stops trials after some epochs, and the model 'ease'"):
        check(load_config(None, [*settings, "adt.models=ease", "tune.tuner=hyperband"]))
