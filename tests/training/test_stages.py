"""Plans of several stages: what each leaves, that they can be cut anywhere, and what is refused."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from soak import EVERY

from tfadt.config.loading import load_config, settings_of, with_settings
from tfadt.data.ingest import ingest
from tfadt.data.interactions import Interactions
from tfadt.errors import ConfigError, DataError, InterruptedRunError
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.evaluation.rules import validation_rows
from tfadt.experiments.experiment import resume_experiment, run_experiment
from tfadt.experiments.folder import RunFolder
from tfadt.experiments.plans import plans
from tfadt.experiments.report import write_report
from tfadt.experiments.saved import SavedRun
from tfadt.registry import MODELS, POLICIES
from tfadt.training.checkpoints import CheckpointStore
from tfadt.training.interrupts import listening
from tfadt.training.plan import Plan, check_model, check_policy, make_model, make_policy
from tfadt.training.progress import Progress
from tfadt.training.stages import compile_stage, make_sampler, train

SETTINGS = [
    "ingest.simulated.users=120",
    "ingest.simulated.items=60",
    "ingest.simulated.interactions=2500",
    "ingest.extra_feedback.share=0.3",
    "adt.preset=paper",
    "adt.epochs=2",
    "adt.batch_size=64",
    "adt.models=gmf",
    "adt.policies=t_ce",
    "adt.plans=adt,warmup+adt,warmup+adt+finetune",
    "warmup.epochs=3",
    "warmup.learning_rate=0.01",
    "finetune.epochs=1",
    "finetune.learning_rate=1e-12",
    "evaluate.k=5,10",
    "model.gmf.embedding_dim=8",
]
WHOLE = "gmf-t_ce-warmup+adt+finetune-0"


def run(out, *more, progress=None):
    config = load_config(None, [*SETTINGS, *more])
    return run_experiment(config, out, progress, lambda data, runs: write_report(config, data, runs, out))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("stages") / "out"
    data, runs = run(out)
    return out, data, runs


def weights(model):
    return [variable.numpy() for variable in model.trainable_variables]


def test_each_stage_trains_its_own_epochs_from_a_fresh_start(finished):
    out, data, runs = finished
    assert [run.name for run in runs[1:]] == ["gmf-t_ce-0", "gmf-t_ce-warmup+adt-0", WHOLE]
    training = pd.read_parquet(out / "training.parquet")
    stages = {plan: group["stage"].tolist() for plan, group in training.groupby("plan")}
    assert stages == {
        "adt": ["adt"] * 2,
        "warmup+adt": ["warmup"] * 3 + ["adt"] * 2,
        "warmup+adt+finetune": ["warmup"] * 3 + ["adt"] * 2 + ["finetune"],
    }
    # The optimizer of the last stage has counted that stage's steps alone: one epoch of the extra feedback.
    assert int(SavedRun.open(out).load_model(WHOLE).iteration) == -(-2 * len(data.extra_feedback) // 64)
    # T-CE's ramp began again at 0 after warm-up: the first epoch drops less than the second, warm-up nothing.
    rates = training[training["plan"] == "warmup+adt+finetune"]["drop_rate"].tolist()
    assert rates[:3] == [0, 0, 0]
    assert 0 < rates[3] < rates[4]
    assert rates[5] == 0
    assert runs[3].realised_drop_rate == rates[4]
    # What ADT selected is known after finetuning too, whose own steps are other ones.
    assert runs[3].adt_step == runs[2].adt_step == runs[2].best_step


def test_finetuning_starts_from_the_weights_that_adt_selected(finished):
    saved = SavedRun.open(finished[0])
    before, after = (weights(saved.load_model(name)) for name in ("gmf-t_ce-warmup+adt-0", WHOLE))
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_the_space_after_warm_up_is_kept_and_is_what_warm_up_alone_gives(finished, tmp_path):
    saved = SavedRun.open(finished[0])
    space = saved.warmup_space(WHOLE)
    np.testing.assert_array_equal(space, saved.warmup_space("gmf-t_ce-warmup+adt-0"))
    run(tmp_path / "out", "adt.plans=warmup", "adt.policies=t_ce,r_ce")
    alone = SavedRun.open(tmp_path / "out")
    # Without ADT no policy takes part: one training for both.
    assert alone.names == ["gmf-standard-warmup-0"]
    np.testing.assert_array_equal(alone.load_model("gmf-standard-warmup-0").user_space(), space)
    with pytest.raises(DataError, match=r"no users' vectors after warm-up for gmf-t_ce-0"):
        saved.warmup_space("gmf-t_ce-0")
    (tmp_path / "out" / "warmup" / "gmf-standard-warmup-0.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"gmf-standard-warmup-0\.npy cannot be read"):
        alone.warmup_space("gmf-standard-warmup-0")


def test_adt_goes_on_from_what_warm_up_learned(finished, tmp_path):
    _, _, runs = finished
    _, without = run(tmp_path / "out", "adt.plans=warmup+adt", "warmup.learning_rate=1e-12")
    metrics = [r.evaluation.metrics["recall@5"] for r in (runs[1], runs[2], without[1])]
    assert metrics[0] == pytest.approx(metrics[2], abs=1e-6)
    assert metrics[0] != metrics[1]


class StopAt(Progress):
    """Asks the run to stop once a stage has made so many steps."""

    def __init__(self, stage, step):
        self.stage, self.step, self.now = stage, step, None

    def begin(self, label, total_steps):
        self.now = label

    def advance(self, step, logs):
        if self.now == f"{WHOLE} {self.stage}" and step >= self.step:
            os.kill(os.getpid(), signal.SIGTERM)


CUTS = [("adt", 9), ("warmup", 24), ("warmup", 1), ("finetune", 1)]


@pytest.mark.parametrize(("stage", "step"), CUTS if EVERY else CUTS[:1])
def test_a_plan_cut_in_any_stage_goes_on_bit_for_bit(stage, step, finished, tmp_path):
    out = tmp_path / "out"
    settings = ["adt.plans=warmup+adt+finetune", "adt.checkpoint_every=4", "adt.steps_per_call=4"]
    with pytest.raises(InterruptedRunError):
        run(out, *settings, progress=StopAt(stage, step))
    config = RunFolder(out).config()
    _, runs = resume_experiment(out, after_each=lambda data, runs: write_report(config, data, runs, out))
    reference = next(r for r in finished[2] if r.name == WHOLE)
    assert runs[1].evaluation.metrics == reference.evaluation.metrics
    ours, theirs = SavedRun.open(out), SavedRun.open(finished[0])
    for a, b in zip(weights(ours.load_model(WHOLE)), weights(theirs.load_model(WHOLE)), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(ours.warmup_space(WHOLE), theirs.warmup_space(WHOLE))
    frames = [pd.read_parquet(folder / "training.parquet") for folder in (out, finished[0])]
    whole = frames[1][frames[1]["plan"] == "warmup+adt+finetune"].reset_index(drop=True)
    pd.testing.assert_frame_equal(frames[0], whole[frames[0].columns])
    assert not list((out / "checkpoints").iterdir())


def test_negatives_are_drawn_outside_all_that_is_known_of_the_user():
    config = load_config(None, SETTINGS)
    data = ingest(config.ingest)
    # A pair that is known to be liked and was never clicked.
    clicked = set(data.train.item[data.train.user == 5]) | set(data.valid.item[data.valid.user == 5])
    absent = next(item for item in range(data.num_items) if item not in clicked)
    extra = Interactions(np.append(data.extra_feedback.user, 5), np.append(data.extra_feedback.item, absent))
    data = data.with_extra_feedback(extra)
    sampler = make_sampler(data, config, 0)
    users = tf.fill([20_000], tf.constant(5, tf.int64))
    drawn = set(sampler(users, tf.constant(0, tf.int64), tf.range(20_000, dtype=tf.int64)).numpy())
    known = set(data.train.item[data.train.user == 5]) | {absent}
    assert drawn == set(range(data.num_items)) - known


@pytest.mark.parametrize("plan", ["adt+warmup", "warmup+warmup", "warm-up+adt", "", "adt+"])
def test_plans_that_cannot_be_are_refused(plan):
    with pytest.raises(ConfigError, match=r"adt\.plans': expected some of warmup\+adt\+finetune in this order"):
        load_config(None, ["adt.models=gmf"], {"adt": {"plans": [plan]}})


def test_trainings_can_be_named_one_by_one():
    config = load_config(None, ["adt.trainings=gmf-t_ce,nmtr-standard,gmf-r_ce-warmup+adt", "adt.seeds=2"])
    names = ["gmf-t_ce", "nmtr-standard", "gmf-r_ce-warmup+adt"]
    assert [plan.name for plan in plans(config)] == [f"{name}-{seed}" for seed in (0, 1) for name in names]


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("gmf", "Setting 'adt.trainings': expected MODEL-POLICY or MODEL-POLICY-PLAN, such as gmf-t_ce. Received: 'gmf'."),
        ("gmf-t_ce-adt-0", "Received: 'gmf-t_ce-adt-0'"),
        ("gmff-t_ce", "Unknown model 'gmff'. Did you mean 'gmf'?"),
        ("gmf-tce", "Unknown policy 'tce'. Did you mean 't_ce'?"),
        ("gmf-t_ce-adt+warmup", "expected some of warmup+adt+finetune"),
    ],
)
def test_trainings_that_cannot_be_are_refused(training, message):
    with pytest.raises(ConfigError) as caught:
        plans(load_config(None, [f"adt.trainings={training}"]))
    assert message in str(caught.value)


def test_plans_are_crossed_with_policies_and_models():
    config = load_config(None, ["adt.models=gmf,cdae", "adt.policies=standard,t_ce", "adt.plans=adt,finetune,warmup+adt"])
    names = [plan.name for plan in plans(config)]
    gmf = ["standard-0", "standard-finetune-0", "standard-warmup+adt-0", "t_ce-0", "t_ce-warmup+adt-0"]
    assert names == [f"gmf-{name}" for name in gmf] + [f"cdae-{name}" for name in gmf]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["adt.plans=warmup+adt"], "The stage 'warmup' of the plan warmup+adt trains on extra feedback. Received: none"),
        (["adt.plans=adt+finetune"], "The stage 'finetune' of the plan adt+finetune"),
        (["adt.plans=adt", "adt.policies=nr"], "The policy 'nr' trains on extra feedback. Received: none"),
        (["adt.plans=adt", "adt.models=nmtr", "adt.policies=standard"], "The model 'nmtr' trains on extra feedback"),
    ],
)
def test_without_extra_feedback_what_needs_it_is_refused_before_earlier_results_are_touched(settings, message, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".tfadt-run").write_text("")
    (out / "results.json").write_text("earlier")
    nothing = [*settings, "ingest.extra_feedback.share=0"]
    with pytest.raises(DataError) as caught:
        run(out, *[s for s in nothing if not s.startswith("model.gmf")])
    assert message in str(caught.value)
    assert (out / "results.json").read_text() == "earlier"


def test_a_model_by_user_goes_through_every_stage(tmp_path):
    models = ["cdae", "nmtr"] if EVERY else ["cdae"]
    small = [f"adt.models={','.join(models)}", "adt.plans=warmup+adt+finetune", "model.cdae.hidden_dim=8"]
    _, runs = run(tmp_path / "out", *small)
    assert [r.model for r in runs[1:]] == models
    assert all(np.isfinite(r.evaluation.metrics["recall@5"]) for r in runs)


def test_the_report_tells_the_plans_apart(finished):
    text = (finished[0] / "results.md").read_text()
    assert "| gmf | t_ce | warmup+adt |" in text
    assert "| gmf | t_ce | adt |" in text


@pytest.mark.parametrize("checkpoints", ["5", "1000"])
def test_a_signal_in_a_validation_is_heard_there_and_the_step_is_kept(checkpoints, tmp_path, monkeypatch):
    settings = ["adt.plans=adt", f"adt.checkpoint_every={checkpoints}", "adt.eval_every=10", "adt.ema_momentum=0.5"]
    measure = RankingEvaluator.recall
    asked = []

    def strike(self, model, told):
        asked.append(int(model.iteration))
        # The checkpoint of this step is on the disk before anything is measured.
        kept = {path.name for path in (tmp_path / "out").rglob("step-*.npz")}
        assert ("step-000000000020.npz" in kept) == (checkpoints == "5" and asked[-1] == 20)
        if asked[-1] == 20:
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("The validation went on.")
        return measure(self, model, told)

    monkeypatch.setattr(RankingEvaluator, "recall", strike)
    with pytest.raises(InterruptedRunError, match="at step 20; the last checkpoint is of step 20"):
        run(tmp_path / "out", *settings)
    assert asked == [10, 20]
    monkeypatch.setattr(RankingEvaluator, "recall", measure)
    if checkpoints == "5" and not EVERY:
        return  # it goes on from the checkpoint of the same step
    _, resumed = resume_experiment(tmp_path / "out")
    _, uncut = run(tmp_path / "uncut", *settings)
    assert resumed[1].evaluation.metrics == uncut[1].evaluation.metrics


def test_the_reported_drop_rate_is_that_of_the_selected_epoch():
    config = load_config(None, [*SETTINGS, "adt.epochs=4", "adt.learning_rate=0.05", "policy.t_ce.num_gradual=0.9"])
    trained = train(Plan("gmf", "t_ce", 0), ingest(config.ingest), config)
    selected = (trained.best_step - 1) // trained.steps_per_epoch
    assert trained.drop_rate == trained.history["drop_rate"].iloc[selected]
    assert trained.history["drop_rate"].is_monotonic_increasing


def test_a_signal_that_was_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with listening() as interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            assert interrupt.signum is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_rankings_tell_how_far_they_are(tmp_path):
    class Heard(Progress):
        def __init__(self):
            self.ranks = []

        def ranked(self, users, total):
            self.ranks.append((users, total))

    heard = Heard()
    data, _ = run(tmp_path / "out", "adt.plans=adt", progress=heard)
    judged = np.concatenate([data.test.user, data.test_disliked.user])
    counts = [len(np.unique(users)) for users in (validation_rows("auto", data).user, judged)]
    epochs = RunFolder(tmp_path / "out").config().adt.epochs
    # One block of users holds all of them: one word a validation, one for the validation in the record, one for the test.
    assert heard.ranks == [(counts[0], counts[0])] * (epochs + 1) + [(counts[1], counts[1])]


def test_a_stage_that_ended_early_makes_no_more_steps_when_it_is_resumed(tmp_path):
    config = load_config(None, [*SETTINGS, "adt.epochs=30", "adt.patience=2", "adt.validations=3", "adt.learning_rate=0.05"])
    data = ingest(config.ingest)
    plan, store = Plan("gmf", "t_ce", 0), CheckpointStore(tmp_path / "checkpoints")
    first, again = (train(plan, data, config, checkpoints=store) for _ in range(2))
    assert len(first.history) < 30
    assert (first.best_step, first.selection_score) == (again.best_step, again.selection_score)
    assert first.best_step < int(first.model.iteration) == int(again.model.iteration)
    for a, b in zip(weights(first.model), weights(again.model), strict=True):
        np.testing.assert_array_equal(a, b)
    pd.testing.assert_frame_equal(first.history, again.history)


def test_the_recipe_of_the_configuration_reaches_the_optimizer_and_the_model():
    settings = ["adt.l2=0.05", "adt.adam_beta_1=0.8", "adt.adam_beta_2=0.95", "model.gmf.item_bias=true"]
    config = load_config(None, [*SETTINGS, *settings, "model.gmf.init_stddev=0.1"])
    model = make_model("gmf", 0, ingest(config.ingest), config)
    compile_stage(model, "adt", "standard", config)
    assert (model.l2, model.optimizer.beta_1, model.optimizer.beta_2) == (0.05, 0.8, 0.95)
    assert model.bias_table is not None
    assert model.init_stddev == 0.1


def test_settings_of_a_model_and_of_it_under_a_policy_win_over_those_for_all():
    strong = load_config(None, ["adt.preset=strong"])
    gmf, neumf = (settings_of(strong, model, "t_ce") for model in ("gmf", "neumf"))
    assert (gmf.adt.objective, gmf.adt.l2) == ("auto", "auto")
    assert (neumf.adt.objective, neumf.adt.negatives, neumf.adt.num_negatives) == ("binary_crossentropy", "uniform", 4)
    assert settings_of(gmf, "gmf", "t_ce") == gmf
    own = with_settings(strong, {"method": {"gmf": {"adt.epochs": 3}, "gmf-t_ce": {"adt.epochs": 4}}})
    assert [settings_of(own, "gmf", policy).adt.epochs for policy in ("standard", "t_ce")] == [3, 4]


def test_the_penalty_follows_the_clicks_of_a_user():
    config = load_config(None, [*SETTINGS, "adt.l2=auto"])
    data = ingest(config.ingest)
    model = make_model("gmf", 0, data, config)
    compile_stage(model, "adt", "standard", config)
    clicks = len(data.train) / len(np.unique(data.train.user))
    assert model.l2 == pytest.approx(1 / clicks)
    with pytest.raises(ConfigError, match=r"Setting 'adt\.l2': expected auto or a number of at least 0\. Received: 'much'"):
        load_config(None, ["adt.l2=much"])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["adt.models=neumf", "adt.objective=softmax"], "The model 'neumf' scores pair by pair.*other models .gmf, cdae."),
        (["adt.models=gmf,nmtr", "adt.negatives=shared"], "The model 'nmtr' scores pair by pair.*negatives by row"),
        (["adt.models=gmf", "adt.negatives=shared", "adt.objective=bpr"], "A row of the objective bpr is a positive and"),
        (["adt.models=gmf", "adt.objective=softmax"], "Expected adt.negatives=shared. Received: .*softmax with .*uniform"),
        (["adt.models=cdae", "adt.objective=softmax", "adt.policies=nr"], "NR makes negatives of clicks"),
        (["adt.models=gmf", "adt.objective=auto", "adt.policies=nr"], "NR makes negatives of clicks"),
        (["adt.models=neumf", "adt.objective=auto", "adt.negatives=shared"], "auto draws its negatives .*Received: shared"),
    ],
)
def test_what_does_not_go_together_is_refused_before_data_are_read(settings, expected):
    with pytest.raises(ConfigError, match=expected):
        plans(load_config(None, ["ingest.data=missing.csv", *settings]))


def test_every_policy_and_every_model_goes_with_the_strong_preset():
    config = load_config(None, ["adt.preset=strong"])
    for policy in POLICIES:
        check_policy(policy, config)
    for model in MODELS:
        check_model(model, config)
    assert make_policy("random_drop", config).get_config()["scope"] == "positives"
