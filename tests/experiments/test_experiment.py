"""A whole run through the library: what it writes, what it refuses, that it repeats."""

import json

import numpy as np
import pandas as pd
import pytest
from soak import EVERY

from tfadt.config.loading import load_config
from tfadt.data import artifact
from tfadt.errors import ConfigError, DataError
from tfadt.experiments.experiment import evaluate_again, resume_experiment, run_experiment
from tfadt.experiments.report import write_report
from tfadt.experiments.saved import SavedRun
from tfadt.training.model_files import load_model

MODELS = ("gmf", "cdae") if EVERY else ("gmf",)
SMALL = [
    "ingest.simulated.users=120",
    "ingest.simulated.items=60",
    "ingest.simulated.interactions=2500",
    "adt.preset=paper",
    "adt.epochs=2",
    f"adt.models={','.join(MODELS)}",
    "adt.policies=standard,t_ce",
    "evaluate.k=5,10",
    "model.gmf.embedding_dim=8",
    "model.cdae.hidden_dim=16",
    "policy.t_ce.max_drop_rate=0.2",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    config = load_config(None, [*SMALL, "adt.seeds=2"])
    data, runs = run_experiment(config, out)
    return out, config, data, runs, write_report(config, data, runs, out)


def test_results_have_a_row_for_every_training_and_for_popularity(finished):
    out, _, _, _, results = finished
    assert json.loads((out / "results.json").read_text()) == results
    rows = [(r["model"], r["policy"], r["seed"]) for r in results["runs"]]
    trained = [(m, p, s) for s in (0, 1) for m in MODELS for p in ("standard", "t_ce")]
    assert rows == [("popular", None, None), *trained]
    for row in results["runs"]:
        assert 0 <= row["metrics"]["recall@5"] <= row["metrics"]["recall@10"] <= 1
        assert row["selection"] == (None if row["policy"] is None else "expected_val_recall")
        assert row["seconds"] >= 0
    assert {r["policy"]: r["realised_drop_rate"] > 0 for r in results["runs"]} == {
        None: False,
        "standard": False,
        "t_ce": True,
    }
    assert results["data"]["source"]["simulated"] is True
    assert results["config"]["adt"]["epochs"] == 2
    assert {"tfadt", "tensorflow", "keras"} <= set(results["versions"])


def test_every_training_leaves_its_model_its_users_and_its_logs(finished):
    out, _, data, runs, _ = finished
    for run in runs:
        per_user = pd.read_parquet(out / "per_user" / f"{run.name}.parquet")
        assert per_user["recall@5"].mean() == pytest.approx(run.evaluation.metrics["recall@5"])
        disliked = set() if data.test_disliked is None else set(data.test_disliked.user)
        assert set(per_user["user"]) == set(data.test.user) | disliked
        assert run.policy is None or (out / "models" / f"{run.name}.keras").is_file()
        assert run.policy is None or list((out / "logs" / run.name).rglob("events*"))
    training = pd.read_parquet(out / "training.parquet")
    assert len(training) == 4 * len(MODELS) * 2
    assert {"drop_precision", "drop_recall", "random_precision", "false_positive_loss"} <= set(training.columns)


def test_a_saved_model_ranks_as_the_run_did(finished):
    out, config, _, runs, _ = finished
    _, table = evaluate_again(out)
    for row in table:
        values = [r.evaluation.metrics["ndcg@10"] for r in runs if (r.model, r.policy) == (row.model, row.policy)]
        assert row.metrics["ndcg@10"][0] == pytest.approx(np.mean(values), abs=1e-12)
    assert SavedRun.open(out).config == config


def test_the_report_says_simulated_and_gives_a_verdict_for_each_policy(finished):
    text = (finished[0] / "results.md").read_text()
    assert text.startswith("# Results on simulated data")
    for model in MODELS:
        assert f"- {model} t_ce: recall@5 " in text
    assert "rows in: " in text


def test_the_comparison_is_paired_over_users_averaged_over_seeds(finished):
    _, _, _, runs, results = finished
    from scipy import stats

    def users(policy):
        frames = [r.evaluation.per_user for r in runs if (r.model, r.policy) == ("gmf", policy)]
        return sum(f.sort_values("user")["recall@5"].dropna().to_numpy() for f in frames) / 2

    expected = stats.ttest_rel(users("t_ce"), users("standard"))
    of = {(c["model"], c["policy"], c["baseline"], c["metric"]): c for c in results["comparisons"]}
    row = of["gmf", "t_ce", "standard", "recall@5"]
    means = {
        p: [r.evaluation.metrics["recall@5"] for r in runs if (r.model, r.policy) == ("gmf", p)]
        for p in ("t_ce", "standard")
    }
    assert row["p_value_seeds"] == pytest.approx(stats.ttest_rel(means["t_ce"], means["standard"]).pvalue)
    assert row["p_value"] == pytest.approx(expected.pvalue)
    assert row["difference"] == pytest.approx((users("t_ce") - users("standard")).mean())


def test_a_run_repeats_bit_for_bit(finished, tmp_path):
    _, config, _, runs, _ = finished
    again = config.model_copy(update={"adt": config.adt.model_copy(update={"models": ("gmf",), "seeds": 1})})
    _, repeated = run_experiment(again, tmp_path / "again")
    first = {run.name: run.evaluation.metrics for run in runs}
    for run in repeated:
        assert run.evaluation.metrics == first[run.name]


def test_trainings_at_once_have_the_figures_of_one_after_the_other_and_are_not_made_again(finished, tmp_path):
    _, config, _, runs, _ = finished
    few = config.model_copy(update={"adt": config.adt.model_copy(update={"models": ("gmf",), "seeds": 1})})
    heard = []
    _, at_once = run_experiment(few, tmp_path / "out", jobs=2, on_end=lambda run: heard.append(run.name))
    assert sorted(heard) == ["gmf-standard-0", "gmf-t_ce-0"]
    before = {run.name: run.evaluation.metrics for run in runs}
    assert [run.name for run in at_once] == ["popular", "gmf-standard-0", "gmf-t_ce-0"]
    assert all(run.evaluation.metrics == before[run.name] for run in at_once)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tfadt.training.processes.Process", None)
        _, again = resume_experiment(tmp_path / "out", jobs=2)
    assert [(run.name, run.metrics) for run in again] == [(run.name, run.metrics) for run in at_once]


def test_a_run_can_start_from_the_weights_of_an_earlier_one(finished, tmp_path):
    out = finished[0]
    settings = [*SMALL, f"adt.start_from={out}", "adt.learning_rate=1e-12", "adt.models=gmf", "adt.policies=t_ce"]
    run_experiment(load_config(None, settings), tmp_path / "next")
    before = SavedRun.open(out).load_model("gmf-t_ce-0")
    import keras

    after = keras.saving.load_model(tmp_path / "next" / "models" / "gmf-t_ce-0.keras")
    for a, b in zip(before.trainable_variables, after.trainable_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-9)


def test_a_run_starts_from_an_earlier_one_of_other_users_and_items(tmp_path):
    def log(name, users, items):
        lines = [f"{u},{i},{5 - (u + i) % 5}" for u in users for i in items if (u * 7 + i) % 3]
        (tmp_path / name).write_text("\n".join(["user_id,item_id,rating", *lines]) + "\n")

    def trained(name, *more):
        tiny = ["adt.models=gmf", "adt.policies=standard", "adt.epochs=1", "adt.selection=last", "model.gmf.embedding_dim=4"]
        settings = load_config(None, [*tiny, f"ingest.data={tmp_path / name}.csv", *more])
        data, _ = run_experiment(settings, tmp_path / name)
        return data, load_model(tmp_path / name / "models" / "gmf-standard-0.keras")

    log("monday.csv", range(20), range(12))
    log("tuesday.csv", range(5, 25), range(2, 13))
    before, old = trained("monday")
    after, new = trained("tuesday", f"adt.start_from={tmp_path / 'monday'}", "adt.learning_rate=1e-12")
    for kind, table in (("users", "user_table"), ("items", "item_table")):
        found = getattr(before, kind).encode(getattr(after, kind).ids)
        ours, theirs = (getattr(model, table).numpy() for model in (new, old))
        np.testing.assert_allclose(ours[found >= 0], theirs[found[found >= 0]], atol=1e-9)
        assert (np.abs(ours[found < 0]) > 0).any()
    np.testing.assert_allclose(new.output_kernel.numpy(), old.output_kernel.numpy(), atol=1e-9)
    assert after.manifest["notes"][-1].endswith(
        "monday: 15 users taken over, 5 new, 5 gone; 10 items taken over, 1 new, 2 gone"
    )
    log("other.csv", range(100, 120), range(12))
    with pytest.raises(DataError, match=r"knows none of the user_ids: .*Received, for example: '0' and '100'"):
        trained("other", f"adt.start_from={tmp_path / 'monday'}")
    with pytest.raises(DataError, match="has weights of other sizes"):
        trained("tuesday", f"adt.start_from={tmp_path / 'monday'}", "model.gmf.embedding_dim=5")


def test_starting_from_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not the folder of an earlier run"):
        run_experiment(load_config(None, [*SMALL, f"adt.start_from={tmp_path}"]), tmp_path / "x")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("adt.models=gmff", "Unknown model 'gmff'. Did you mean 'gmf'?"),
        ("adt.policies=tce", "Unknown policy 'tce'. Did you mean 't_ce'?"),
        ("policy.t_ce.max_droprate=0.1", "Unknown setting policy.t_ce.max_droprate. Did you mean 'max_drop_rate'?"),
        ("model.gmf.dim=8", "Unknown setting model.gmf.dim."),
        ("policy.t_ce.max_drop_rate=high", "Setting 'policy.t_ce'"),
        ("policy.t_ce=3", "Setting 'policy.t_ce': expected"),
        ("policy.r_ce.beta=-1", "beta must be at least 0. Received: -1."),
        ("policy.t_ce.max_drop_rate=0.5", "below the share of positives in a batch (0.5)"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(setting, message, tmp_path):
    with pytest.raises(ConfigError) as caught:
        run_experiment(load_config(None, [*SMALL, "adt.policies=standard,t_ce,r_ce", setting]), tmp_path / "x")
    assert message in str(caught.value)


def test_a_folder_of_something_else_is_not_overwritten(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(DataError, match="exists and holds no tfadt run"):
        run_experiment(load_config(None, SMALL), tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["data", "models", "results.json"])
def test_a_folder_that_looks_like_a_run_but_was_not_written_by_one_is_left_alone(name, tmp_path):
    mine = tmp_path / name if name.endswith(".json") else tmp_path / name / "mine.csv"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(DataError, match="exists and holds no tfadt run"):
        run_experiment(load_config(None, SMALL), tmp_path)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("ingest.split.valid=0", "needs validation interactions"),
        ("adt.num_negatives=9", "below the share of positives in a batch (0.1)"),
        ("model.gmf.embedding_dim=0", "needs vectors of at least 1 number. Received: 0."),
        ("model.gmf.embedding_dim=wide", "Setting 'model.gmf'"),
        ("adt.start_from={earlier}", "has no model gmf-standard-2 to start from"),
    ],
)
def test_what_can_be_known_beforehand_is_refused_before_earlier_results_are_touched(setting, message, finished, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".tfadt-run").write_text("")
    (out / "results.json").write_text("earlier")
    settings = [*SMALL, "adt.models=gmf", "adt.seeds=3", setting.format(earlier=finished[0])]
    with pytest.raises((ConfigError, DataError)) as caught:
        run_experiment(load_config(None, settings), out)
    assert message in str(caught.value)
    assert (out / "results.json").read_text() == "earlier"


def test_the_report_is_kept_up_to_date_after_each_training(tmp_path):
    seen = []
    settings = [*SMALL, "adt.models=gmf,gmf"]
    run_experiment(load_config(None, settings), tmp_path / "out", after_each=lambda _, runs: seen.append(len(runs)))
    assert seen == [2, 3]


@pytest.mark.parametrize("rule", ["paper", "trimmed", "last"] if EVERY else ["paper"])
def test_every_selection_rule_runs_with_a_ramp_that_is_a_share_of_the_run(rule, tmp_path):
    settings = [*SMALL, "adt.trainings=gmf-t_ce", f"adt.selection={rule}", "policy.t_ce.num_gradual=0.5"]
    _, runs = run_experiment(load_config(None, settings), tmp_path / "out")
    assert {run.selection for run in runs} == {None, rule}


def test_a_user_with_every_item_is_trained_on_without_negatives_and_counted(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(u, i, 5) for u in range(30) for i in range(12) if rng.random() < 0.5]
    for name, part in (("train", [*rows, *((99, i, 5) for i in range(12))]), ("valid", [(0, 0, 5)]), ("test", [(1, 0, 5)])):
        keep = [r for r in part if name != "train" or (r[0], r[1]) not in ((0, 0), (1, 0))]
        pd.DataFrame(keep, columns=["user_id", "item_id", "rating"]).to_csv(tmp_path / f"{name}.csv", index=False)
    files = [f"ingest.{name}={tmp_path / name}.csv" for name in ("train", "valid", "test")]
    config = load_config(None, [*SMALL, *files, "adt.trainings=gmf-t_ce"])
    data, runs = run_experiment(config, tmp_path / "out")
    results = write_report(config, data, runs, tmp_path / "out")
    assert [r["without_negative"] for r in results["runs"]] == [0, 12]
    assert "trained on without a negative (their users have every item): 12" in (tmp_path / "out" / "results.md").read_text()


@pytest.mark.parametrize("content", ["[]", '{"config": {}}', "{", '{"config": {"adt": 3}, "runs": []}'])
def test_a_damaged_result_is_one_sentence(content, finished, tmp_path):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(DataError, match="is not the result of a run"):
        SavedRun.open(tmp_path)


def test_a_damaged_model_is_one_sentence(finished, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(finished[0], copy)
    path = copy / "models" / "gmf-t_ce-0.keras"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"gmf-t_ce-0\.keras cannot be loaded"):
        SavedRun.open(copy).load_model("gmf-t_ce-0")


def test_a_model_whose_reading_fails_without_a_word_is_one_sentence_too(finished, monkeypatch):
    def fail(*_, **__):
        raise EOFError

    monkeypatch.setattr("keras.saving.load_model", fail)
    with pytest.raises(DataError, match=r"gmf-t_ce-0\.keras cannot be loaded: EOFError"):
        SavedRun.open(finished[0]).load_model("gmf-t_ce-0")


def test_popularity_negatives_and_all_known_items_excluded(tmp_path):
    settings = [*SMALL, "adt.trainings=gmf-t_ce", "adt.negatives=popularity", "adt.exclude=known", "adt.num_negatives=2"]
    _, runs = run_experiment(load_config(None, settings), tmp_path / "out")
    assert all(np.isfinite(run.evaluation.metrics["recall@5"]) for run in runs)


def test_without_feedback_everything_trains_and_the_report_says_the_test_cannot_be_clean(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user_id": rng.integers(0, 40, 900), "item_id": rng.integers(0, 30, 900)})
    frame.to_csv(tmp_path / "clicks.csv", index=False)
    config = load_config(None, [*SMALL, "adt.trainings=gmf-t_ce", f"ingest.data={tmp_path / 'clicks.csv'}"])
    data, runs = run_experiment(config, tmp_path / "out")
    write_report(config, data, runs, tmp_path / "out")
    assert "the test CANNOT be clean" in (tmp_path / "out" / "results.md").read_text()
    assert artifact.load(tmp_path / "out" / "data").train.false_positive is None
