"""The stage `collide` on a small run: what it chooses, leaves, reports and explains."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from soak import EVERY
from typer.testing import CliRunner

from tfadt.cli.main import app
from tfadt.config.loading import load_config
from tfadt.errors import ConfigError, DataError, TfadtError
from tfadt.evaluation.protocol import test_evaluator as evaluator_of
from tfadt.evaluation.ranking import rank
from tfadt.experiments.collide import collide, read_collided, saved_scorer
from tfadt.experiments.experiment import run_experiment
from tfadt.experiments.extra_feedback import colliding_table, mixed_rankings, training_table, uses_extra_feedback
from tfadt.experiments.report import write_report
from tfadt.experiments.saved import SavedRun
from tfadt.inference.colliding import CollidingScorer
from tfadt.inference.neighbors import neighbor_table

SETTINGS = [
    "ingest.simulated.users=150",
    "ingest.simulated.items=60",
    "ingest.simulated.interactions=3500",
    "ingest.extra_feedback.share=0.15",
    f"adt.trainings=gmf-standard,gmf-t_ce-warmup+adt{',nmtr-standard' if EVERY else ''}",
    "adt.seeds=2",
    "adt.preset=paper",
    "adt.epochs=3",
    "adt.batch_size=64",
    "adt.learning_rate=0.01",
    "warmup.learning_rate=0.01",
    "evaluate.k=5,10",
    "model.gmf.embedding_dim=8",
    "collide.enabled=true",
    "collide.neighbors=1,3,8",
    "collide.lambdas=0,0.5,0.9",
    "collide.ratios=0.05,0.2",
]
NAME = "gmf-t_ce-warmup+adt-0"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("collide") / "out"
    config = load_config(None, SETTINGS)
    data, runs = run_experiment(config, out)
    write_report(config, data, runs, out)
    run = SavedRun.open(out)
    collided = collide(run)
    write_report(config, data, runs, out, collided)
    return run, runs, collided


def test_each_training_with_warm_up_is_measured_for_each_group(finished):
    run, _, collided = finished
    groups = [(0.05, False), (0.2, False), (0.05, True), (0.2, True)]
    expected = [(f"gmf-t_ce-warmup+adt-{seed}", *group) for seed in (0, 1) for group in groups]
    assert [(c.name, c.group.below, c.group.include_empty) for c in collided] == expected
    ratio, tested = run.data.extra_feedback_ratio, set(run.data.test.user.tolist())
    for each in collided:
        members = {u for u in tested if ratio[u] < each.group.below and (ratio[u] > 0 or each.group.include_empty)}
        assert set(each.plain["user"]) == set(each.mixed["user"]) == members
        assert each.lambdas == (0.0, 0.5, 0.9, 1.0)
        assert each.choice.lambda_ in each.lambdas
        assert each.choice.num_neighbors in (1, 3, 8)


def test_the_choice_and_the_test_are_those_of_the_scorer(finished):
    run, _, collided = finished
    each = max((c for c in collided if c.name == NAME), key=lambda c: (c.choice.lambda_ < 1, c.group.below))
    model, data, ratio = run.load_model(NAME), run.data, run.data.extra_feedback_ratio
    table = neighbor_table(run.warmup_space(NAME), ratio, each.group.users(ratio), each.choice.num_neighbors)
    scorer = CollidingScorer(model, table, each.choice.lambda_)
    per_user = evaluator_of(data, run.config)(scorer).per_user.set_index("user")
    np.testing.assert_allclose(each.mixed["recall@5"], per_user["recall@5"].loc[each.mixed["user"]], atol=1e-12)
    plain = evaluator_of(data, run.config)(model).per_user.set_index("user")
    np.testing.assert_allclose(each.plain["ndcg@10"], plain["ndcg@10"].loc[each.plain["user"]], atol=1e-12)
    assert each.choice.recall == max(max(line) for line in each.choice.curve)
    # Users outside the group rank as before.
    outside = plain.index[~each.group.users(ratio)[plain.index]]
    assert len(outside)
    pd.testing.assert_frame_equal(per_user.loc[outside], plain.loc[outside])


def test_what_was_measured_is_read_back(finished):
    run, _, collided = finished
    for again, each in zip(collide(run), collided, strict=True):
        assert again.record() == each.record()
        pd.testing.assert_frame_equal(again.mixed, each.mixed)
    with pytest.raises(DataError, match="has no colliding inference for gmf-standard-0"):
        read_collided(run, "gmf-standard-0")


def test_damaged_leavings_are_one_sentence(finished, tmp_path):
    shutil.copytree(finished[0].folder, tmp_path / "run")
    path = tmp_path / "run" / "collide" / f"{NAME}.json"
    for content in ("{", '[{"name": 3}]'):
        path.write_text(content)
        with pytest.raises(DataError, match=r"warmup\+adt-0\.json cannot be read"):
            read_collided(SavedRun.open(tmp_path / "run"), NAME)


def test_the_saved_scorer_is_that_of_the_widest_group(finished):
    run, _, collided = finished
    model = run.load_model(NAME)
    scorer = saved_scorer(run, NAME, model)
    widest = next(c for c in collided if (c.name, c.group.below, c.group.include_empty) == (NAME, 0.2, False))
    assert (scorer.lambda_, scorer.neighbors.shape[1]) == (widest.choice.lambda_, widest.choice.num_neighbors)
    mixed = (scorer.neighbors.numpy() >= 0).any(axis=1)
    np.testing.assert_array_equal(mixed, widest.group.users(run.data.extra_feedback_ratio))


def test_table_4_compares_with_plain_training_and_with_the_policy_alone(finished):
    _, runs, _ = finished
    assert uses_extra_feedback(runs)
    assert not uses_extra_feedback(runs[:2])
    header, cells = training_table(runs, (5, 10))
    rows = [dict(zip(header, line, strict=True)) for line in cells]
    assert [(r["model"], r["policy"], r["plan"]) for r in rows] == [
        ("gmf", "standard", "adt"),
        ("gmf", "t_ce", "warmup+adt"),
        *([("nmtr", "standard", "adt")] if EVERY else []),
    ]

    def mean(model, plan):
        return np.mean([r.evaluation.metrics["recall@5"] for r in runs if (r.model, r.plan) == (model, plan)])

    assert rows[0]["recall@5 - plain"] == ""
    # NMTR is compared with plain GMF.
    for row, (model, plan) in zip(rows[1:], (("gmf", "warmup+adt"), ("nmtr", "adt")), strict=False):
        own = mean(model, plan)
        assert row["recall@5 - plain"].startswith(f"{own - mean('gmf', 'adt'):+.4f} (p ")
        assert row["recall@5 - ADT alone"] == ""
        assert row["recall@5"].startswith(f"{own:.4f} ± ")


def test_table_5_shows_both_rankings_of_each_group_with_its_size(finished):
    _, _, collided = finished
    header, cells = colliding_table(collided, (5, 10))
    rows = [dict(zip(header, line, strict=True)) for line in cells]
    assert [r["inference"] for r in rows] == ["plain", "colliding"] * 4
    assert [r["users"] for r in rows[::2]] == [
        "ratio < 0.05",
        "ratio < 0.2",
        "ratio < 0.05, with those at 0",
        "ratio < 0.2, with those at 0",
    ]
    both = [c for c in collided if (c.group.below, c.group.include_empty) == (0.2, True)]
    assert rows[-1]["test users"] == str(len(both[0].plain))
    assert rows[-1]["lambda"] == " ".join(f"{c.choice.lambda_:g}" for c in both)
    assert rows[-1]["recall@5"].startswith(f"{np.mean([c.mixed['recall@5'].mean() for c in both]):.4f}")
    difference = np.mean([c.mixed["recall@5"].mean() - c.plain["recall@5"].mean() for c in both])
    assert float(rows[-1]["recall@5 - plain"].split()[0]) == pytest.approx(difference, abs=6e-5)


def test_the_report_has_both_tables(finished):
    run, _, collided = finished
    text = (run.folder / "results.md").read_text()
    assert "## Training with extra feedback" in text
    assert "| gmf t_ce warmup+adt | ratio < 0.2, with those at 0 |" in text
    results = json.loads((run.folder / "results.json").read_text())
    assert len(results["colliding"]) == len(collided)
    assert results["colliding"][0]["colliding"]["recall@5"] == pytest.approx(collided[0].mean("recall@5", True))


def test_the_curve_over_lambda_is_the_mean_of_the_seeds_at_what_each_chose(finished):
    _, _, collided = finished
    row = next(
        each for each in mixed_rankings(collided, (5, 10)) if (each.group.below, each.group.include_empty) == (0.2, True)
    )
    both = [c for c in collided if c.group == row.group]
    curves = [np.array(c.choice.curve[c.sizes.index(c.choice.num_neighbors)]) / c.choice.plain for c in both]
    np.testing.assert_allclose(row.curve, (curves[0] + curves[1]) / 2)
    assert row.lambdas == [0.0, 0.5, 0.9, 1.0]
    assert row.curve[-1] == 1.0  # the plain ranking
    assert row.chosen_neighbors == [c.choice.num_neighbors for c in both]


# ---------------------------------------------------------------- tfadt recommend --collide


def recommend(run, user, *options):
    return CliRunner().invoke(app, ["recommend", str(run.folder), "--user", user, "--k", "6", "--collide", *options])


def member(run, inside):
    """A user whose ratio is inside the groups, or beyond them, or at 0."""
    ratio = run.data.extra_feedback_ratio
    chosen = {"inside": (ratio > 0.05) & (ratio < 0.2), "beyond": ratio >= 0.2, "empty": ratio == 0}[inside]
    return int(np.flatnonzero(chosen)[0])


def test_recommend_shows_the_neighbours_and_how_the_list_moved(finished):
    run, _, _ = finished
    code = member(run, "inside")
    user = str(run.data.users.ids[code])
    result = recommend(run, user, "--model", NAME, "--neighbors", "3", "--lambda", "0.5")
    assert result.exit_code == 0, result.output
    only = np.zeros(run.data.num_users, bool)
    only[code] = True
    table = neighbor_table(run.warmup_space(NAME), run.data.extra_feedback_ratio, only, 3)
    model, seen = run.load_model(NAME), run.data.history("train", "valid")
    mixed = rank(CollidingScorer(model, table, 0.5), np.array([code]), 6, seen).items[0]
    plain = rank(model, np.array([code]), model.num_items, seen).items[0].tolist()
    lines = [line.split() for line in result.output.splitlines()]
    begin = next(n for n, line in enumerate(lines) if line[:2] == ["neighbour", "user_id"])
    assert [line[1] for line in lines[begin + 1 : begin + 4]] == [str(i) for i in run.data.users.decode(table[code])]
    begin = next(n for n, line in enumerate(lines) if line[:2] == ["rank", "item_id"])
    for n, (line, item) in enumerate(zip(lines[begin + 1 : begin + 7], mixed, strict=True), 1):
        before = plain.index(item) + 1
        moved = [f"{before - n:+d}"] if before != n else []
        assert [line[0], line[1], *line[3:]] == [str(n), str(run.data.items.ids[item]), str(before), *moved]
    assert "lambda 0.5, 3 neighbours, mixed probabilities (as asked for)" in result.output


def test_recommend_takes_what_the_run_chose_for_users_of_this_ratio(finished):
    run, _, collided = finished
    code = member(run, "inside")
    result = recommend(run, str(run.data.users.ids[code]), "--model", NAME)
    choice = next(c for c in collided if (c.name, c.group.below, c.group.include_empty) == (NAME, 0.2, False)).choice
    assert f"lambda {choice.lambda_:g}, " in result.output
    assert "chosen on validation for users of ratio < 0.2" in result.output
    # Without --model, the best training that had a warm-up.
    assert recommend(run, str(run.data.users.ids[code])).output.startswith("gmf-t_ce-warmup+adt-")


@pytest.mark.parametrize(("who", "reason"), [("beyond", "enough extra feedback of its own"), ("empty", "no extra feedback")])
def test_recommend_says_why_a_user_keeps_its_own_predictions(who, reason, finished):
    run = finished[0]
    user = str(run.data.users.ids[member(run, who)])
    result = recommend(run, user, "--model", NAME)
    assert "lambda 1, 0 neighbours" in result.output
    assert reason in result.output
    plain = CliRunner().invoke(app, ["recommend", str(run.folder), "--user", user, "--k", "6", "--model", NAME]).output
    ours = [line.split()[:3] for line in result.output.splitlines()[3:]]
    assert ours == [line.split() for line in plain.splitlines()[2:]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lambda", "1.5", "--neighbors", "3"], r"lambda must lie in \[0, 1\]"),
        (["--lambda", "0.5", "--neighbors", "150"], "number of neighbours must lie in 1"),
        (["--model", "gmf-standard-0"], "no users' vectors after warm-up for gmf-standard-0"),
    ],
)
def test_recommend_refuses_what_cannot_be(options, message, finished):
    run = finished[0]
    result = recommend(run, str(run.data.users.ids[member(run, "inside")]), *options)
    assert isinstance(result.exception, TfadtError)
    with pytest.raises(TfadtError, match=message):
        raise result.exception


def test_options_of_colliding_inference_need_it(finished):
    result = CliRunner().invoke(app, ["recommend", str(finished[0].folder), "--user", "1", "--lambda", "0.5"])
    assert isinstance(result.exception, ConfigError)


# ---------------------------------------------------------------- refused before anything is trained


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["adt.trainings=gmf-t_ce"], "colliding inference needs a training with warm-up and ADT"),
        (["collide.neighbors=1,150"], r"Expected numbers below that\. Received: 150"),
        (["ingest.extra_feedback.share=0"], "trains on extra feedback. Received: none"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_trained(settings, message, tmp_path):
    with pytest.raises(TfadtError, match=message):
        run_experiment(load_config(None, [*SETTINGS, *settings]), tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()  # nothing was begun


@pytest.mark.parametrize(
    "setting", ["collide.lambdas=0.5,1.5", "collide.lambdas=-1", "collide.neighbors=3,1", "collide.neighbors=0"]
)
def test_grids_out_of_range_are_refused(setting):
    with pytest.raises(ConfigError, match=r"Setting 'collide\."):
        load_config(None, [setting])
