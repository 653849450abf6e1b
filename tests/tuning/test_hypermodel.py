"""The hypermodel under keras-tuner's own tuners, unchanged."""

from dataclasses import replace

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from keras_tuner.engine.trial import Trial
from model_cases import checkerboard
from soak import EVERY
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from tfadt.config.loading import load_config
from tfadt.data.interactions import InteractionData, Interactions
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.inference.colliding import CollidingScorer
from tfadt.inference.neighbors import neighbor_table
from tfadt.models.ials import IALS
from tfadt.models.noise_ranked import NoiseRanked
from tfadt.search_space import Choices
from tfadt.training.plan import Plan
from tfadt.training.stages import train
from tfadt.tuning.collide import collide_settings
from tfadt.tuning.hypermodel import ADTHyperModel

STEPS = 6  # an epoch of 120 interactions and as many negatives, 40 a step
SMALL = (
    "adt.preset=paper",
    "adt.epochs=4",
    "evaluate.k=2,5",
    "evaluate.select_k=2",
    "adt.batch_size=40",
    "tune.over=policy",
)


@pytest.fixture(scope="module")
def data():
    return checkerboard()


def hypermodel(data, *overrides, model="gmf", policy="r_ce"):
    return ADTHyperModel(data, load_config(overrides=[*SMALL, *overrides]), model, policy)


def validation_metrics(data, model):
    return RankingEvaluator(data.valid, data.history(), (2, 5))(model).metrics


def test_random_search_judges_keeps_and_reloads_the_chosen_epoch(data, tmp_path):
    hyper = hypermodel(data, "tune.objective=ndcg@5", "tune.space.adt.learning_rate=0.001,0.1")
    tuner = keras_tuner.RandomSearch(hyper, hyper.objective, max_trials=2, directory=tmp_path, seed=1)
    tuner.search(verbose=0)
    trials = tuner.oracle.get_best_trials(2)
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    for trial, model in zip(trials, tuner.get_best_models(2), strict=True):
        metrics = validation_metrics(data, model)
        # The rows that rested when the weights were written are up to date when they are read.
        assert metrics["ndcg@5"] == trial.score
        assert metrics["recall@2"] == trial.metrics.get_best_value("selection_score")
        epoch = trial.metrics.get_best_value("selected_epoch")
        assert int(model.iteration) == epoch * STEPS


def test_what_the_data_make_of_a_setting_is_among_what_is_tried(data):
    hyper = hypermodel(data, "adt.l2=auto", "adt.batch_size=37", "tune.over=training", policy="standard")
    clicks = len(data.train) / len(np.unique(data.train.user))  # cross-entropy by row: 1 / clicks of a user
    own = hyper.own_values()
    assert own == {"adt.learning_rate": 0.001, "adt.l2": pytest.approx(1 / clicks), "adt.num_negatives": 1}
    assert own["adt.l2"] in hyper.space["adt.l2"].values


def test_what_a_closed_form_chooses_on_validation_is_the_first_trial(data):
    hyper = hypermodel(data, "tune.over=model", model="ials", policy="standard")
    own = hyper.own_values()
    model = IALS(data.num_users, data.num_items)
    chosen = model.fit(data, k=2).history
    best = int(np.argmax(chosen["val_recall@2"]))
    # The weight of the pairs without a click: .1 (clicks a user)^(1/4).
    alpha = 0.1 * (len(data.train) / data.num_users) ** 0.25
    assert own == {
        "model.ials.embedding_dim": 128,
        "model.ials.reg": chosen["reg"][best],
        "model.ials.alpha": pytest.approx(alpha),
    }


@pytest.mark.parametrize("rule", ["val_recall", "paper", "trimmed", "last"] if EVERY else ["val_recall"])
def test_a_trial_is_the_training_that_a_run_makes(data, rule):
    hyper = hypermodel(data, f"adt.selection={rule}", "adt.learning_rate=0.03", "tune.space.policy.r_ce.beta=0.5")
    hp = keras_tuner.HyperParameters()
    history = hyper.fit(hp, hyper.build(hp))
    config = load_config(
        overrides=[*SMALL, f"adt.selection={rule}", "adt.learning_rate=0.03", "policy.r_ce.beta=0.5", "adt.models=gmf"]
    )
    trained = train(Plan("gmf", "r_ce", 0), data, config)
    (score,) = history.history["selection_score"]
    assert history.history["selected_epoch"] == [trained.best_step // STEPS]
    if rule != "last":
        assert score == trained.selection_score
    assert history.history["val_recall@2"] == [validation_metrics(data, trained.model)["recall@2"]]


def test_a_trial_is_judged_on_the_users_that_a_run_selects_on(data):
    hyper = hypermodel(data, "adt.epochs=1", "evaluate.valid_users=7", "tune.objective=ndcg@5")
    hp = keras_tuner.HyperParameters()
    history = hyper.fit(hp, hyper.build(hp)).history
    config = load_config(overrides=[*SMALL, "adt.epochs=1", "evaluate.valid_users=7"])
    trained = train(Plan("gmf", "r_ce", 0), data, config)
    assert history["selection_score"] == [trained.selection_score]
    users = np.random.default_rng(0).choice(np.unique(data.valid.user), 7, replace=False)
    valid = data.valid.take(np.isin(data.valid.user, users))
    assert history["val_ndcg@5"] == [RankingEvaluator(valid, data.history(), (5,))(trained.model).metrics["ndcg@5"]]


def test_a_trial_ranks_with_the_noise_model_as_a_run_does(data):
    disliked = np.arange(len(data.train)) % 4 == 1
    known = replace(data, train=replace(data.train, known_negative=disliked))
    settings = ["adt.epochs=1", "adt.selection=val_recall"]
    hyper = hypermodel(known, *settings, policy="noise_model")
    hp = keras_tuner.HyperParameters()
    chosen = {"policy.noise_model.power": 1.0, "policy.noise_model.gamma": 2.0}
    hp.values |= chosen
    history = hyper.fit(hp, hyper.build(hp)).history
    config = load_config(overrides=[*SMALL, *settings, *(f"{key}={value}" for key, value in chosen.items())])
    model = train(Plan("gmf", "noise_model", 0), known, config).model
    assert isinstance(model, NoiseRanked)
    metrics = validation_metrics(known, model)
    assert metrics != validation_metrics(known, model.inner)
    assert history["val_ndcg@5"] == [metrics["ndcg@5"]]


def test_the_cut_off_that_selects_need_not_be_one_that_is_reported(data):
    hyper = hypermodel(data, "adt.epochs=1", "evaluate.select_k=3", "tune.objective=ndcg@5")
    hp = keras_tuner.HyperParameters()
    history = hyper.fit(hp, hyper.build(hp)).history
    assert history["selection_score"] == history["val_recall@3"]


def test_a_trial_starts_from_a_warm_up_where_the_plan_has_one(data):
    settings = ["adt.plans=warmup+adt+finetune", "warmup.epochs=3", "warmup.learning_rate=0.05", "adt.learning_rate=0.03"]
    hyper = hypermodel(data, *settings)
    for beta in (0.5, 0.1):
        hp = keras_tuner.HyperParameters()
        hp.values["policy.r_ce.beta"] = beta
        history = hyper.fit(hp, hyper.build(hp))
        if beta == 0.5 and not EVERY:  # the second trial is the one that might start from the first
            continue
        config = load_config(overrides=[*SMALL, *settings, f"policy.r_ce.beta={beta}", "adt.models=gmf"])
        trained = train(Plan("gmf", "r_ce", 0, ("warmup", "adt")), data, config)
        assert history.history["selection_score"] == [trained.selection_score]
        assert history.history["val_ndcg@5"] == [validation_metrics(data, trained.model)["ndcg@5"]]
    nothing_known = InteractionData(data.train, data.valid, data.test, data.users, data.items)
    with pytest.raises(DataError, match=r"The stage 'warmup' of the plan .* trains on extra feedback"):
        hypermodel(nothing_known, *settings)
    for wrong in (["adt.plans=adt,warmup+adt"], ["adt.plans=warmup"]):
        with pytest.raises(ConfigError, match=r"A search needs one plan in adt\.plans, with the stage adt"):
            hypermodel(data, *wrong)


def test_lambda_and_the_number_of_neighbours_are_chosen_after_training(data):
    settings = ["adt.plans=warmup+adt", "warmup.epochs=3", "warmup.learning_rate=0.05", "adt.learning_rate=0.01"]
    settings += ["collide.enabled=true", "collide.neighbors=1,3", "collide.lambdas=0,0.5,1", "collide.ratios=2.0"]
    hyper = hypermodel(data, *settings)
    hp = keras_tuner.HyperParameters()
    history = hyper.fit(hp, hyper.build(hp)).history
    config = load_config(overrides=[*SMALL, *settings, "policy.r_ce.beta=0.25", "adt.models=gmf"])
    trained = train(Plan("gmf", "r_ce", 0, ("warmup", "adt")), data, config)
    ratio = data.extra_feedback_ratio
    recalls = {}
    for size in (1, 3):
        table = neighbor_table(trained.warmup_space, ratio, ratio > 0, size)
        for lambda_ in (0.0, 0.5, 1.0):
            metrics = validation_metrics(data, CollidingScorer(trained.model, table, lambda_))
            recalls[metrics["recall@2"], lambda_, -size] = metrics
    best = max(recalls)
    assert history["val_ndcg@5"] == [recalls[best]["ndcg@5"]]
    assert collide_settings({name: values[0] for name, values in history.items()}) == {
        "collide.lambdas": [best[1]],
        "collide.neighbors": [-best[2]],
    }
    assert history["selection_score"] == [trained.selection_score]  # of the plain ranking: it chose the epoch before


def test_bayesian_optimisation_and_a_model_that_trains_by_user(data, tmp_path):
    hyper = hypermodel(data, "tune.over=model", "model.cdae.hidden_dim=8", "adt.epochs=1", model="cdae", policy="t_ce")
    tuner = keras_tuner.BayesianOptimization(
        hyper, hyper.objective, max_trials=2, num_initial_points=1, directory=tmp_path, seed=1
    )
    tuner.search(verbose=0)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 2
    assert tuner.get_best_models()[0].hidden_dim in (50, 100, 200, 400)


@pytest.mark.parametrize(
    ("model", "policy"),
    [*((model, "t_ce") for model in ("gmf", "neumf", "cdae", "nmtr")), ("gmf", "standard"), ("gmf", "r_ce"), ("gmf", "nr")]
    if EVERY
    else [("gmf", "t_ce"), ("neumf", "standard"), ("cdae", "r_ce"), ("nmtr", "nr")],
)
def test_every_model_and_policy_trains_with_the_ends_of_its_space(data, model, policy, recwarn):
    # A user batch of all users is the shortest run of all: one step an epoch.
    overrides = ["tune.over=policy,model,training", "adt.epochs=2", "adt.user_batch_size=20"]
    hyper = hypermodel(data, *overrides, model=model, policy=policy)
    assert any(key.startswith(f"model.{model}.") for key in hyper.space)
    assert policy == "standard" or any(key.startswith(f"policy.{policy}.") for key in hyper.space)
    for end in (0, -1) if EVERY or policy == "t_ce" else (-1,):
        hp = keras_tuner.HyperParameters()
        hp.values = {
            key: values.values[end] if isinstance(values, Choices) else (values.min, values.max)[end]
            for key, values in hyper.space.items()
        }
        history = hyper.fit(hp, hyper.build(hp)).history
        assert 0 <= history["val_recall@2"][0] <= 1
    assert [str(each.message) for each in recwarn if "outlasts the run" in str(each.message)] == []


def test_a_space_of_ones_own(data, tmp_path):
    space = (
        "tune.space.model.neumf.embedding_dim=[2, 4]",
        "tune.space.policy.t_ce.num_gradual=[3, 6]",  # steps, where the space of the policy has shares of the run
        "tune.space.policy.t_ce.max_drop_rate={min=0.01, max=0.3, log=true}",
        "tune.space.policy.t_ce.scope=batch,positives",
        "tune.space.adt.learning_rate=[]",  # not searched
        "tune.space.adt.l2=[]",
        "tune.over=policy,model,training",
    )
    hyper = hypermodel(data, *space, "adt.epochs=1", model="neumf", policy="t_ce")
    tuner = keras_tuner.RandomSearch(hyper, hyper.objective, max_trials=2, directory=tmp_path, seed=2)
    tuner.search(verbose=0)
    for trial in tuner.oracle.trials.values():
        assert trial.status == "COMPLETED"
        values = trial.hyperparameters.values
        assert set(values) == {f"policy.t_ce.{name}" for name in ("num_gradual", "max_drop_rate", "scope")} | {
            "model.neumf.embedding_dim"
        }
        assert values["policy.t_ce.num_gradual"] in (3, 6)
        assert 0.01 <= values["policy.t_ce.max_drop_rate"] <= 0.3
    best = tuner.get_best_models()[0]
    found = tuner.get_best_hyperparameters()[0].values
    assert best.embedding_dim == found["model.neumf.embedding_dim"]
    assert best.policy.get_config()["num_gradual"] == found["policy.t_ce.num_gradual"]


def test_hyperband_goes_on_from_checkpoints_as_one_run_would(data, tmp_path):
    # A ramp that is a share of the run: a rung that took its own length for the run's would drop more, earlier.
    hyper = hypermodel(
        data,
        "adt.preset=paper",
        "adt.epochs=2",
        "adt.selection=last",
        "policy.t_ce.num_gradual=0.5",
        "tune.over=[]",
        "tune.space.policy.t_ce.max_drop_rate={min = 0.1, max = 0.4}",
        policy="t_ce",
    )
    tuner = keras_tuner.Hyperband(hyper, hyper.objective, max_epochs=2, factor=2, directory=tmp_path, seed=1)
    tuner.search(verbose=0)
    later = [trial for trial in tuner.oracle.trials.values() if "tuner/trial_id" in trial.hyperparameters.values]
    assert later
    for trial in later:
        values = trial.hyperparameters.values
        assert (values["tuner/initial_epoch"], values["tuner/epochs"]) == (1, 2)
        assert int(tuner.load_model(trial).iteration) == 2 * STEPS
        config = [f"policy.t_ce.max_drop_rate={values['policy.t_ce.max_drop_rate']}", "policy.t_ce.num_gradual=0.5"]
        whole = train(
            Plan("gmf", "t_ce", 0), data, load_config(overrides=[*SMALL, "adt.epochs=2", "adt.selection=last", *config])
        )
        assert trial.score == validation_metrics(data, whole.model)["recall@2"]
        dropped = trial.metrics.get_best_value("drop_rate")
        assert dropped == pytest.approx(whole.history["drop_rate"].iloc[-1], abs=1e-9)
        assert dropped > 0


COLLIDING = ["adt.plans=warmup+adt", "warmup.epochs=1", "collide.enabled=true", "collide.neighbors=1,3"]


@pytest.mark.parametrize(
    ("settings", "objective", "rungs"),
    [
        ([], None, {2: 1, 4: 3, 8: 3} if EVERY else {4: 3, 8: 3}),
        (COLLIDING, keras_tuner.Objective("val_ndcg@5", "max"), {4: 3, 8: 3}),
    ],
    ids=["plain", "colliding"],
)
def test_a_trial_that_goes_on_is_one_training_that_never_stopped(data, tmp_path, settings, objective, rungs):
    """Bit for bit: when an epoch before the last of a rung is the best so far, and when it stays the best.

    `rungs` says at which epochs the training stops, and which is the best until then.
    """
    ramp = ["policy.t_ce.max_drop_rate=0.3", "policy.t_ce.num_gradual=0.8"]
    hyper = hypermodel(data, "adt.epochs=8", "adt.learning_rate=0.05", "tune.over=[]", *ramp, *settings, policy="t_ce")
    earlier, begun = None, 0
    for epochs, best in rungs.items():
        # A tuner of its own for each rung: what it needs lies on the disk.
        tuner = keras_tuner.Hyperband(hyper, objective or hyper.objective, 8, 2, directory=tmp_path, seed=1)
        trial = Trial(keras_tuner.HyperParameters(), trial_id=f"rung-{epochs}")
        trial.hyperparameters.values |= {"tuner/initial_epoch": begun, "tuner/epochs": epochs}
        if earlier is not None:
            trial.hyperparameters.values["tuner/trial_id"] = earlier
        (gone_on,) = tuner.run_trial(trial)
        hp = keras_tuner.HyperParameters()
        model = hyper.build(hp)
        whole = hyper.fit(hp, model, epochs=epochs)
        del gone_on.history["seconds"], whole.history["seconds"]
        assert gone_on.history == whole.history
        assert whole.history["selected_epoch"] == [best]
        kept = tuner.load_model(trial)
        assert int(kept.iteration) == best * STEPS
        assert validation_metrics(data, kept)["recall@2"] == whole.history["selection_score"][0]
        earlier, begun = trial.trial_id, epochs


def test_tensorboard_gets_the_hparams_and_the_objective(data, tmp_path):
    hyper = hypermodel(data, "adt.epochs=1")
    tuner = keras_tuner.RandomSearch(hyper, hyper.objective, max_trials=1, directory=tmp_path, seed=1)
    tuner.search(verbose=0, callbacks=[keras.callbacks.TensorBoard(str(tmp_path / "logs"), write_graph=False)])
    tags, hparams = set(), b""
    for path in (tmp_path / "logs").rglob("events*"):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                tags.add(value.tag)
                if value.tag == "_hparams_/session_start_info":
                    hparams += value.metadata.plugin_data.content
    assert b"policy.r_ce.beta" in hparams
    assert "epoch_recall@2" in tags  # under "validation", where Keras puts what begins with val_


def test_settings_that_do_not_go_together_fail_their_trial_alone(data, tmp_path):
    # Half of the rows are positives: a drop rate of one half would drop them all.
    hyper = hypermodel(data, "adt.epochs=1", "tune.space.policy.t_ce.max_drop_rate=0.5,0.1", policy="t_ce")
    tuner = keras_tuner.RandomSearch(
        hyper, hyper.objective, max_trials=3, directory=tmp_path, seed=1, max_consecutive_failed_trials=9
    )
    tuner.search(verbose=0)
    for trial in tuner.oracle.trials.values():
        refused = trial.hyperparameters.values["policy.t_ce.max_drop_rate"] == 0.5
        assert trial.status == ("FAILED" if refused else "COMPLETED")
        assert not refused or "max_drop_rate must be below the share of positives" in trial.message
    assert {trial.status for trial in tuner.oracle.trials.values()} == {"FAILED", "COMPLETED"}


def test_a_diverged_training_fails_its_trial(data):
    hyper = hypermodel(data, "adt.learning_rate=1e30", "tune.over=model")
    hp = keras_tuner.HyperParameters()
    with pytest.raises(keras_tuner.errors.FailedTrialError, match="Training has diverged: the loss of step 1"):
        hyper.fit(hp, hyper.build(hp))


def test_too_little_memory_fails_the_trial(data, monkeypatch):
    hyper = hypermodel(data)
    hp = keras_tuner.HyperParameters()
    model = hyper.build(hp)

    def out_of_memory(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(model, "fit_source", out_of_memory)
    with pytest.raises(keras_tuner.errors.FailedTrialError, match="There is not enough memory: OOM when allocating"):
        hyper.fit(hp, model)


def test_a_full_disk_and_wrong_arguments_end_the_search(data):
    hyper = hypermodel(data, "adt.epochs=1")
    hp = keras_tuner.HyperParameters()
    model = hyper.build(hp)

    class FullDisk(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise OSError(28, "No space left on device")

    with pytest.raises(keras_tuner.errors.FatalError, match="No space left on device"):
        hyper.fit(hp, model, callbacks=[FullDisk()])
    with pytest.raises(keras_tuner.errors.FatalError, match="the data are the hypermodel's"):
        hyper.fit(hp, model, np.zeros(3))


def test_what_cannot_be_judged_is_refused_at_once(data):
    for override, text in (
        ("tune.objective=recal@5", "Setting 'tune.objective': unknown metric 'recal'. Did you mean 'recall'?"),
        ("tune.objective=recall", "expected a metric and a cut-off, such as ndcg@20. Received: 'recall'."),
        ("tune.objective=recall@0", "expected a metric and a cut-off"),
    ):
        with pytest.raises(ConfigError) as caught:
            hypermodel(data, override)
        assert text in str(caught.value)
    nothing = Interactions(np.zeros(0, np.int64), np.zeros(0, np.int64), None)
    without = InteractionData(data.train, nothing, data.test, data.users, data.items)
    with pytest.raises(DataError, match="A search needs validation interactions"):
        hypermodel(without)
