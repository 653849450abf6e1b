"""Which checkpoint is kept: each rule, restored weights, refusals."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_cases import checkerboard, make

from tfadt.config import ranking as settings
from tfadt.config.loading import load_config
from tfadt.data.ingest import ingest
from tfadt.data.interactions import Interactions
from tfadt.denoising.noise_model import NoiseModel
from tfadt.denoising.truncated import TCE
from tfadt.errors import DataError
from tfadt.evaluation import protocol
from tfadt.evaluation.rules import selection_k, selection_rule, validation_rows
from tfadt.models.gmf import GMF
from tfadt.training.selection import Selection, selection_score
from tfadt.training.validation import ValidationLoss


class Scripted:
    """Scores that rise to a peak, and the weights the model had at each."""

    def __init__(self, model, scores):
        self.model, self.scores, self.weights = model, list(scores), []

    def __call__(self):
        self.weights.append([v.numpy() for v in self.model.trainable_variables])
        return self.scores[len(self.weights) - 1]


def score_of(rule, model, data, k, fixed=False):
    adt = {"selection": rule, "fixed_valid_negatives": fixed}
    config = load_config(base={"adt": adt, "evaluate": {"k": [k]}})
    return selection_score(model, data, config, model.negative_sampler(data))


def compiled():
    model = make(GMF, checkerboard())
    model.compile(keras.optimizers.Adam(0.05), TCE(0.2, 4))
    return model


@pytest.fixture
def model():
    return compiled()


def fit(model, score, every, **settings):
    data = checkerboard()
    source = model.batch_source(data.train, model.negative_sampler(data), 48)  # 240 rows: 5 steps an epoch
    assert source.steps_per_epoch == 5
    selection = Selection(score, every, 10, **settings)
    history = model.fit_source(source, 2, stops=[every], callbacks=[selection])
    return selection, history


def test_the_best_weights_come_back(model):
    score = Scripted(model, [0.1, 0.3, 0.2, 0.25])
    selection, history = fit(model, score, every=3)
    assert selection.history == [(3, 0.1), (6, 0.3), (9, 0.2), (10, 0.25)]
    assert (selection.best_step, selection.best_score) == (6, 0.3)
    for variable, value in zip(model.trainable_variables, score.weights[1], strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert history.history["selection_score"] == [0.1, 0.25]


def patient(model, scores, patience):
    data = checkerboard()
    source = model.batch_source(data.train, model.negative_sampler(data), 48)
    selection = Selection(Scripted(model, scores), 2, 20, patience=patience)
    model.fit_source(source, 4, stops=[2], callbacks=[selection])
    return selection


def test_training_ends_when_patience_does(model):
    selection = patient(model, [0.1, 0.3, 0.2, 0.3, 0.25], 2)
    # The best is of step 4, and neither that of step 6 nor that of step 8 is better.
    assert [step for step, _ in selection.history] == [2, 4, 6, 8]
    assert int(model.iteration) == 8
    assert selection.best_step == 4
    assert selection.exhausted


def test_patience_begins_anew_with_each_better_score(model):
    selection = patient(model, [0.1, 0.05, 0.2, 0.15, 0.3, 0.25, 0.35, 0.3, 0.4, 0.2], 2)
    assert int(model.iteration) == 20
    assert not selection.exhausted


def test_the_average_is_measured_and_kept_and_training_goes_on_from_its_own_weights():
    plain, averaged = (Scripted(compiled(), [0.1, 0.3, 0.2, 0.25]) for _ in range(2))
    fit(plain.model, plain, every=3)
    selection, _ = fit(averaged.model, averaged, every=3, ema_momentum=0.75)
    first, second, third, _ = plain.weights
    for n, variable in enumerate(averaged.model.trainable_variables):
        mean = 0.75 * first[n] + 0.25 * second[n]
        np.testing.assert_array_equal(averaged.weights[0][n], first[n])
        np.testing.assert_allclose(averaged.weights[1][n], mean, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(averaged.weights[2][n], 0.75 * mean + 0.25 * third[n], rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(variable.numpy(), averaged.weights[1][n])
    assert selection.best_step == 6


def test_without_a_score_the_last_weights_stay(model):
    selection, _ = fit(model, None, every=3)
    assert (selection.best_step, selection.best_score, selection.history) == (10, None, [])


def test_val_recall_is_recall_on_validation_with_training_masked(model):
    data = checkerboard()
    score = score_of("val_recall", model, data, 10)
    # Ten items are unseen by each user, so all of them are in the top ten: recall is 1 whatever the scores.
    assert score() == pytest.approx(1.0)


def test_what_is_trained_between_two_validations_says_how_many_users_one_ranks(model, monkeypatch):
    monkeypatch.setattr(settings, "_MANY_USERS", 15)
    monkeypatch.setattr(protocol, "_LEAST_USERS", 3)
    monkeypatch.setattr(GMF, "pairs_a_row", 2)
    data, config = checkerboard(), load_config(overrides=["adt.selection=val_recall"])
    assert (data.num_users, data.num_items) == (20, 16)
    totals = []
    for rows in (None, 10, 400, 4000):  # .1 * 400 * 2 / 16
        score = selection_score(model, data, config, model.negative_sampler(data), lambda _, n: totals.append(n), rows)
        score()
    assert totals == [15, 3, 5, 15]


def known(data, count):
    """Says of the first interactions of validation that they are known to be liked, of all others that nothing is known."""
    return dataclasses.replace(
        data, valid=dataclasses.replace(data.valid, known_positive=np.arange(len(data.valid)) < count)
    )


def test_clean_val_recall_sees_what_is_known_to_be_liked_alone(model):
    data = checkerboard()
    first, other = data.valid.item[:2]
    assert data.valid.user[:2].tolist() == [0, 0]
    model.user_table.assign(np.ones(model.user_table.shape))
    model.output_kernel.assign(np.ones(model.output_kernel.shape))
    # User 0's training items are masked; of its two validation items the second one comes first in its ranking.
    vectors = np.zeros(model.item_table.shape)
    vectors[other], vectors[first] = 2.0, 1.0
    model.item_table.assign(vectors)
    score = score_of("clean_val_recall", model, known(data, 1), 1)
    assert score() == 0.0
    score = score_of("clean_val_recall", model, known(data, 2), 1)
    assert score() == 0.5


def test_auto_takes_what_is_known_where_it_is_enough():
    data = checkerboard(users=100)
    assert len(data.valid) == 200
    assert selection_rule("auto", data) == "val_recall"
    assert selection_rule("auto", known(data, 199)) == "val_recall"
    assert selection_rule("auto", known(data, 200)) == "clean_val_recall"
    assert selection_rule("trimmed", known(data, 200)) == "trimmed"
    assert len(validation_rows("auto", known(data, 199))) == 200
    assert len(validation_rows("clean_val_recall", known(data, 7))) == 7


def test_what_defines_the_clean_test_is_not_known():
    small = [f"ingest.simulated.{size}" for size in ("users=200", "items=80", "interactions=6000")]
    hidden, shown = (
        ingest(load_config(None, [*small, "ingest.extra_feedback.share=0", f"ingest.extra_feedback.{setting}"]).ingest)
        for setting in ("validation_share=0", "validation_share=1")
    )
    assert hidden.valid.false_positive is not None
    assert selection_rule("auto", hidden) == "val_recall"
    np.testing.assert_array_equal(validation_rows("auto", shown).item, shown.valid.item[~shown.valid.false_positive])


def learnable(data, count=60):
    """Says of the first clicks of training, in turn, that they are known to be liked and disliked."""
    first, liked = np.arange(len(data.train)) < count, np.arange(len(data.train)) % 2 == 0
    train = dataclasses.replace(data.train, known_positive=first & liked, known_negative=first & ~liked)
    return dataclasses.replace(data, train=train)


def test_auto_expects_where_a_noise_model_can_be_learned():
    data = checkerboard(users=100)
    assert selection_rule("auto", learnable(data)) == "expected_val_recall"
    assert selection_rule("auto", learnable(data, 49)) == "val_recall"
    assert selection_rule("auto", known(learnable(data), 199)) == "expected_val_recall"
    assert selection_rule("auto", known(learnable(data), 200)) == "clean_val_recall"  # all: there is nothing to expect


@pytest.mark.parametrize(
    ("setting", "largest", "in_expectation"),
    [("20,50", 50, 20), ("3", 3, 3), ("3,10", 10, 3), ("20,50 select_k=30", 30, 30)],
)
def test_the_largest_cut_off_selects_and_in_expectation_the_first(setting, largest, in_expectation):
    k, _, select = setting.partition(" ")
    config = load_config(None, [f"evaluate.k={k}", *([f"evaluate.{select}"] if select else [])])
    assert selection_k(config, checkerboard()) == largest
    assert selection_k(config, learnable(checkerboard())) == in_expectation


def test_expected_recall_counts_each_by_how_likely_it_is_liked(model):
    data = learnable(checkerboard(users=100))
    flags = np.arange(len(data.valid))
    valid = dataclasses.replace(data.valid, known_positive=flags == 0, known_negative=flags == 2)
    data = dataclasses.replace(data, valid=valid)
    rows = validation_rows("auto", data)
    noise = NoiseModel.fit(data.train, data.num_users, data.num_items, with_taste=False)
    left = flags != 2
    np.testing.assert_array_equal(rows.item, valid.item[left])
    np.testing.assert_allclose(rows.relevance, 1 - noise.probabilities(valid)[left], atol=1e-12)
    assert rows.relevance[0] == 1.0


def test_expecting_without_enough_known_says_what_is_known(model):
    with pytest.raises(DataError, match=r"at least 50 known clicks\. Received: 25 known to be liked and 24"):
        score_of("expected_val_recall", model, learnable(checkerboard(users=100), 49), 10)


def test_nothing_known_is_told(model):
    data = checkerboard()
    with pytest.raises(DataError, match=r"needs validation interactions that are known to be liked\. Received: none of 40"):
        score_of("clean_val_recall", model, data, 10)


def test_the_papers_rule_is_the_policys_own_loss_at_the_current_drop_rate(model):
    data = checkerboard()
    score = score_of("paper", model, data, 10, True)
    plain = score()
    model.optimizer.iterations.assign(100)
    truncated = score()
    assert truncated > plain  # scores are minus losses; a drop rate of .2 takes the largest positive losses out
    assert plain == pytest.approx(-np.log(2), abs=1e-3)


def test_the_trimmed_rule_leaves_out_the_hardest_fifth_of_the_positives(model):
    data = checkerboard()
    for variable in model.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    model.output_bias.assign([1.0])
    losses = ValidationLoss(model, data.valid, model.negative_sampler(data), fixed_negatives=True)
    # All logits are 1: positives lose log(1 + e^-1), negatives log(1 + e). 32 of 40 positives stay beside 40 negatives.
    positive, negative = np.log1p(np.exp(-1)), np.log1p(np.exp(1))
    assert losses.trimmed_loss() == pytest.approx((32 * positive + 40 * negative) / 72, abs=1e-6)


def test_validation_negatives_are_fresh_unless_fixed(model):
    data = checkerboard()
    model.user_table.assign(np.random.default_rng(0).normal(size=model.user_table.shape))
    model.item_table.assign(np.random.default_rng(1).normal(size=model.item_table.shape))
    for fixed in (True, False):
        losses = ValidationLoss(model, data.valid, model.negative_sampler(data), fixed_negatives=fixed)
        first = losses.trimmed_loss()
        assert losses.trimmed_loss() == first
        model.optimizer.iterations.assign_add(1)
        assert (losses.trimmed_loss() == first) is fixed


@pytest.mark.parametrize("rule", ["auto", "expected_val_recall", "clean_val_recall", "val_recall", "trimmed", "paper"])
def test_rules_that_need_validation_say_so(model, rule):
    none = Interactions(np.zeros(0, np.int64), np.zeros(0, np.int64))
    data = dataclasses.replace(checkerboard(), valid=none)
    with pytest.raises(DataError, match=f"Selection by '{rule}' needs validation interactions.*adt.selection=last"):
        score_of(rule, model, data, 10)
    assert score_of("last", model, data, 10) is None
