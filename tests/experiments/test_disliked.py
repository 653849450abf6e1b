"""What a run tells of disliked items: columns, intervals, corrected tests, the oracle's gap, and why there are none."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tfadt.config.loading import load_config
from tfadt.data.ingest import ingest
from tfadt.evaluation.false_positives import false_share, false_share_interval, false_share_values
from tfadt.evaluation.protocol import why_no_disliked
from tfadt.evaluation.significance import PairedTest, holm
from tfadt.experiments.comparison import Comparison, Row, rows, verdict
from tfadt.experiments.disliked import gap_table, variety_table
from tfadt.experiments.experiment import run_experiment
from tfadt.experiments.report import table_cells, write_report

SMALL = [
    "ingest.simulated.users=150",
    "ingest.simulated.items=60",
    "ingest.simulated.interactions=3500",
    "adt.preset=paper",
    "adt.epochs=2",
    "adt.models=gmf",
    "adt.policies=standard,t_ce,clean_only",
    "adt.seeds=2",
    "evaluate.k=5,10",
    "model.gmf.embedding_dim=8",
]


def with_disliked(config):
    """Returns data whose test was cut into liked and disliked interactions, as the clean test does."""
    data = ingest(config.ingest.model_copy(update={"clean_test": False}))
    disliked = data.test.false_positive
    return replace(data, test=data.test.take(~disliked), test_disliked=data.test.take(disliked))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    config = load_config(None, SMALL)
    data, runs = run_experiment(config, out)
    return out, config, data, runs, write_report(config, data, runs, out)


def test_the_disliked_rows_are_those_that_the_clean_test_leaves_out(finished):
    _, config, data, _, _ = finished
    by_hand = with_disliked(config)
    for split in ("test", "test_disliked"):
        found, expected = getattr(data, split), getattr(by_hand, split)
        pairs = [{*zip(each.user.tolist(), each.item.tolist(), strict=True)} for each in (found, expected)]
        assert pairs[0] == pairs[1] != set()


def test_the_users_file_carries_the_metrics_of_everybody_who_is_judged(finished):
    out, _, data, runs, _ = finished
    assert set(data.test_disliked.user) - set(data.test.user)
    for run in runs:
        users = pd.read_parquet(out / "per_user" / f"{run.name}.parquet")
        assert set(users["user"]) == set(data.test.user) | set(data.test_disliked.user)
        assert users["anti_precision@5"].mean() == pytest.approx(run.metrics["anti_precision@5"])
        assert false_share(users, 10) == pytest.approx(run.metrics["false_share@10"])
        assert users["recall@5"].mean() == pytest.approx(run.metrics["recall@5"])
        assert users["novelty@5"].mean() == pytest.approx(run.metrics["novelty@5"])


def test_means_have_intervals_over_users(finished):
    _, _, _, runs, results = finished
    method = next(m for m in results["methods"] if (m["model"], m["policy"]) == ("gmf", "t_ce"))
    own = [run for run in runs if run.policy == "t_ce"]
    frames = [run.evaluation.per_user for run in own]
    assert method["metrics"]["recall@5"] == pytest.approx(np.mean([run.metrics["recall@5"] for run in own]))
    values = sum(frame["recall@5"].to_numpy() for frame in frames) / 2
    values = values[~np.isnan(values)]
    expected = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    assert method["intervals"]["recall@5"] == pytest.approx(expected)
    assert method["intervals"]["false_share@5"] == list(false_share_interval(frames, 5))
    assert "coverage@5" not in method["intervals"]


def test_every_metric_is_tested_over_users_and_corrected_within_its_table(finished):
    _, _, _, runs, results = finished
    tests = {(c["policy"], c["metric"]): c for c in results["comparisons"] if c["baseline"] == "standard"}
    assert {metric for _, metric in tests} == {
        f"{name}@{k}" for name in ("recall", "ndcg", "false_share", "anti_precision", "novelty") for k in (5, 10)
    }

    def values(policy):
        frames = [run.evaluation.per_user for run in runs if run.policy == policy]
        return sum(false_share_values(frame, 10) for frame in frames) / 2

    expected = stats.ttest_rel(values("t_ce"), values("standard"))
    assert tests["t_ce", "false_share@10"]["p_value"] == pytest.approx(expected.pvalue)
    floor = next(run for run in runs if run.is_floor)
    against = next(c for c in results["comparisons"] if (c["baseline"], c["metric"]) == ("popular", "recall@5"))
    own = [run.evaluation.per_user["recall@5"].to_numpy() for run in runs if run.policy == against["policy"]]
    popular = floor.evaluation.per_user["recall@5"].to_numpy()
    assert against["p_value"] == pytest.approx(stats.ttest_rel(sum(own) / 2, popular, nan_policy="omit").pvalue)
    for baseline, count in (("standard", 2), ("popular", 3)):
        for k in (5, 10):
            for names in (("recall", "ndcg"), ("false_share", "anti_precision", "novelty")):
                metrics = [f"{name}@{k}" for name in names]
                table = [c for c in results["comparisons"] if c["baseline"] == baseline and c["metric"] in metrics]
                assert len(table) == count * len(names)
                assert [c["p_value_holm"] for c in table] == pytest.approx(holm([c["p_value"] for c in table]))


def test_the_report_has_the_columns_the_intervals_and_the_gap(finished):
    out, config, _, runs, results = finished
    header, cells = table_cells(rows(runs), config.evaluate.k)
    place = header.index("false_share@5")
    assert cells[0][place] == f"{runs[0].metrics['false_share@5']:.4f}"
    text = (out / "results.md").read_text()
    assert "| model | policy | false_share@5 | anti_precision@5 | coverage@5 | novelty@5 |" in text
    assert "are left out" not in text
    assert results["left_out"] == {}
    assert "Share of the gap between plain training and the oracle that a policy closes" in text


def test_without_disliked_rows_the_columns_are_left_out_and_it_is_said_why(tmp_path):
    config = load_config(None, [*SMALL, "adt.seeds=1", "adt.policies=standard", "ingest.feedback.rule=none"])
    data, runs = run_experiment(config, tmp_path / "run")
    results = write_report(config, data, runs, tmp_path / "run")
    assert not any("false_share" in name or "anti_precision" in name for run in runs for name in run.metrics)
    reason = "there is no feedback, so nobody knows what is disliked"
    assert results["left_out"] == {"false_share@k": reason, "anti_precision@k": reason}
    text = (tmp_path / "run" / "results.md").read_text()
    assert f"false_share and anti_precision are left out: {reason}." in text
    assert "| model | policy | coverage@5 | novelty@5 |" in text
    assert "false_share@5" not in table_cells(rows(runs), config.evaluate.k)[0]
    known = with_disliked(load_config(None, SMALL))
    assert why_no_disliked(known) is None
    assert "were kept apart from it" in why_no_disliked(replace(known, test_disliked=None))
    nothing = known.test_disliked.take(np.zeros(len(known.test_disliked), bool))
    assert why_no_disliked(replace(known, test_disliked=nothing)) == "no interaction of the test is disliked"


def row(policy, recall, share, model="gmf"):
    return Row(model, policy, "adt", 1, {"recall@5": (recall, 0.0), "false_share@5": (share, 0.0)}, 0.0, 1.0)


def test_the_share_of_the_gap_by_hand():
    plain, half, oracle = row("standard", 0.2, 0.12), row("t_ce", 0.21, 0.10), row("clean_only", 0.22, 0.08)
    header, cells = gap_table([plain, half, oracle], 5)
    assert header == ["model", "policy", "recall@5", "false_share@5"]
    assert cells == [["gmf", "t_ce", "+0.50", "+0.50"]]
    worse = row("clean_only", 0.19, 0.12)
    assert gap_table([plain, half, worse], 5)[1] == [["gmf", "t_ce", "the oracle is worse (-0.0100)", "no gap"]]
    assert gap_table([plain, half], 5)[1] == []


def test_a_cell_has_the_mean_its_interval_and_the_corrected_p_value():
    mine = replace(row("t_ce", 0.2, 0.1), intervals={"false_share@5": (0.05, 0.15)})
    test = PairedTest(-0.02, -0.03, -0.01, 0.001, 100)
    tests = [Comparison("gmf", "t_ce", "adt", "standard", "false_share@5", test, test, 0.04)]
    assert variety_table([mine], tests, 5)[1] == [["gmf", "t_ce", "0.1000 [0.0500, 0.1500], p = 0.04"]]


def test_fewer_disliked_items_are_better_and_novelty_is_neither():
    fewer, sure = PairedTest(-0.02, -0.03, -0.01, 0.001, 100), PairedTest(-0.02, -0.03, -0.01, 0.001, 5)
    verdicts = {metric: verdict(fewer, sure, f"{metric}@20") for metric in ("recall", "false_share", "novelty")}
    assert verdicts == {"recall": "worse", "false_share": "better", "novelty": "lower"}
    unsure = Comparison("gmf", "t_ce", "adt", "standard", "recall@20", fewer, sure, 0.2)
    assert unsure.verdict == "no significant difference"
    # No seed changes EASE: one run says all, and of GMF only what it says of one seed.
    one = PairedTest(-0.02, -0.02, -0.02, 1.0, 1)
    worse = [Comparison(model, "standard", "adt", "popular", "recall@20", fewer, one, 0.01) for model in ("ease", "gmf")]
    assert [test.verdict for test in worse] == ["worse", "worse with this seed"]
