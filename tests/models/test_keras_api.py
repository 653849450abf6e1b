"""What a user of Keras types works, or the error says what to do."""

import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from model_cases import checkerboard, make

from tfadt.denoising.truncated import TCE
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF
from tfadt.optimizers.deferred_adam import DeferredAdam


@pytest.fixture(scope="module")
def data():
    return checkerboard()


@pytest.fixture(scope="module")
def pairs(data):
    return (data.train.user, data.train.item), np.ones(len(data.train), "float32")


@pytest.fixture(scope="module")
def trained(data):
    model = make(GMF, data)
    model.compile("adam", policy="t_ce")
    model.fit(data, epochs=30, batch_size=16)
    return model


def compiled(data, cls=GMF, **settings):
    model = make(cls, data)
    model.compile(**settings)
    return model


def test_fit_starts_no_thread_whose_sleep_it_would_end_with(data, monkeypatch):
    # tf.data's autotuning sleeps for longer and longer, and deleting the iterator waits until it wakes.
    seen = []
    fit = keras.Model.fit

    def spied(self, x, *args, **kwargs):
        seen.append(x.options().autotune.enabled)
        return fit(self, x, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", spied)
    compiled(data, optimizer="adam").fit(data, epochs=1)
    assert seen == [False]


def test_recommendations_go_by_ids_and_are_a_frame(data, trained):
    frame = trained.recommend([107, 100], k=3)
    assert list(frame.columns) == ["user_id", "rank", "item_id", "score"]
    assert frame["user_id"].tolist() == [107] * 3 + [100] * 3
    assert frame["rank"].tolist() == [1, 2, 3] * 2
    ranking = trained.rank([7, 0], 3)
    assert frame["item_id"].tolist() == data.items.decode(ranking.items.ravel()).tolist()
    np.testing.assert_array_equal(frame["score"], ranking.scores.ravel())
    # One id in place of many; a user has seen all items but ten.
    pd.testing.assert_frame_equal(trained.recommend(100, k=3), frame[3:].reset_index(drop=True))
    # However the ids are written; a missing one is nobody's.
    for written in (["107", "100"], [107.0, 100.0], pd.Series([107, 100], dtype="Int64"), np.array([107, 100], np.uint8)):
        pd.testing.assert_frame_equal(trained.recommend(written, k=3), frame)
    with pytest.raises(DataError, match=r"1 of 2 user_ids are not in the training data\. Received: <NA>"):
        trained.recommend(pd.Series([107, None], dtype="Int64"))
    assert len(trained.recommend(100, k=16)) == 16 - data.history().counts[0]
    for unknown in ([1], ["nobody", 100]):
        with pytest.raises(DataError, match=r"1 of \d user_ids are not in the training data.*ids are such as 100"):
            trained.recommend(unknown)
    with pytest.raises(ConfigError, match="k must be at least 1"):
        trained.recommend(100, k=0)
    with pytest.raises(DataError, match=r"does not know the ids of its users.*from_interactions"):
        GMF(3, 3).recommend([1])


@pytest.mark.parametrize("cls", [GMF, CDAE])
def test_similar_items_are_of_the_same_colour(cls, data):
    model = make(cls, data)
    model.compile(keras.optimizers.Adam(0.05))
    model.fit(data, epochs=30, batch_size=16)
    frame = model.similar_items(["i02", "i05"], k=3)
    assert list(frame.columns) == ["item_id", "rank", "similar_item_id", "similarity"]
    assert frame["item_id"].tolist() == ["i02"] * 3 + ["i05"] * 3
    assert all(int(a[1:]) % 2 == int(b[1:]) % 2 for a, b in zip(frame["item_id"], frame["similar_item_id"], strict=True))
    assert (frame["item_id"] != frame["similar_item_id"]).all()
    assert frame["similarity"].between(-1, 1 + 1e-6).all()
    assert len(model.similar_items("i02", k=99)) == 15


def test_evaluate_ranks_a_split(data, trained):
    expected = RankingEvaluator(data.test, data.history("train", "valid"), (5, 20))(trained).metrics
    assert trained.evaluate(data, k=[5, 20]) == expected
    assert "recall@20" in trained.evaluate(data)
    assert trained.evaluate(data, split="valid", k=5)["recall@5"] > 0.9
    with pytest.raises(ConfigError, match="split must be 'valid' or 'test'"):
        trained.evaluate(data, split="train")


def test_fit_validates_by_ranking_and_early_stopping_restores_what_it_saw(data):
    class Saved(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            best = self.seen = getattr(self, "seen", [])
            best.append((logs["val_recall@5"], self.model.get_weights()))

    model, saved = compiled(data, policy=TCE(0.1, 5)), Saved()
    stop = keras.callbacks.EarlyStopping("val_recall@5", mode="max", patience=2, restore_best_weights=True)
    history = model.fit(data, epochs=6, batch_size=16, validation_data=data, k=5, callbacks=[saved, stop]).history
    assert history["val_recall@5"] == [recall for recall, _ in saved.seen]
    recall, weights = max(saved.seen, key=lambda seen: seen[0])
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.evaluate(data, split="valid", k=5)["recall@5"] == recall


def test_what_a_callback_sees_is_the_model_of_that_moment(data, tmp_path):
    """In the midst of an epoch, at its end, and in the files of ModelCheckpoint; each against a training that ends there."""

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.halfway = self.model.get_weights()

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.weights = self.model.get_weights()

    def fit(epochs, *callbacks):
        model = compiled(data, optimizer=DeferredAdam(0.01))
        model.fit(data, epochs=epochs, batch_size=4, steps_per_call=7, callbacks=list(callbacks))
        return model

    look = Look()
    fit(2, keras.callbacks.ModelCheckpoint(str(tmp_path / "e{epoch}.keras")))
    fit(3, look)
    loaded = keras.saving.load_model(tmp_path / "e2.keras")
    dense = compiled(data, optimizer=keras.optimizers.Adam(0.01, epsilon=1e-7))
    dense.fit(data, epochs=2, batch_size=4)
    for true, seen, kept in zip(dense.get_weights(), look.weights, loaded.get_weights(), strict=True):
        np.testing.assert_allclose(seen, true, rtol=0, atol=1e-4)
        np.testing.assert_allclose(kept, true, rtol=0, atol=1e-4)
    dense.fit(data, epochs=1, batch_size=4)
    for true, seen in zip(dense.get_weights(), look.halfway, strict=True):
        np.testing.assert_allclose(seen, true, rtol=0, atol=1e-4)


def test_a_training_that_is_stopped_leaves_synced_rows(data):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    model = compiled(data)
    with pytest.raises(KeyboardInterrupt):
        model.fit(data, batch_size=4, steps_per_call=5, callbacks=[Stop()])
    before = model.get_weights()
    model.sync()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_single_batches_and_frozen_models(data, pairs):
    model = compiled(data)
    for _ in range(3):
        assert model.train_on_batch(*pairs)["loss"] > 0
    assert int(model.iteration) == 3
    for optimizer in (None, "adam"):
        frozen = make(GMF, data)
        frozen.trainable = False
        frozen.compile(optimizer)
        before = frozen.get_weights()
        with pytest.warns(UserWarning, match="does not have any trainable weights"):
            frozen.fit(data)
        for a, b in zip(before, frozen.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_weights_load_before_compile_and_models_in_a_new_process(data, trained, tmp_path):
    trained.save_weights(tmp_path / "w.weights.h5")
    model = make(GMF, data)
    model.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(model.user_table.numpy(), trained.user_table.numpy())
    trained.save(tmp_path / "gmf.keras")
    code = f"import tfadt; print(tfadt.load_model({str(tmp_path / 'gmf.keras')!r}).recommend([107], k=1).item_id[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == trained.recommend([107], k=1)["item_id"][0]


def test_evaluating_arrays_after_a_data_set_reports_no_quality_of_the_dropped(data, pairs):
    model = compiled(data)
    model.fit(data)
    assert set(model.evaluate(*pairs, verbose=0, return_dict=True)) == {"loss", "drop_rate"}


def test_the_summary_lists_the_weights(data):
    lines = []
    make(GMF, data).summary(print_fn=lines.append)
    assert any("user_table" in line and "(20, 8)" in line and "160" in line for line in lines)


def test_what_does_not_apply_says_what_to_do(data, pairs, tmp_path):
    model = compiled(data)
    frame = pd.DataFrame({"user_id": [1], "item_id": [2]})
    for call, text in (
        (lambda: compiled(data, metrics=["auc"]), r"compile\(\) takes no metrics: evaluate\(data, k=20\)"),
        (lambda: compiled(data, loss="mse"), r"compile\(\) takes no loss: the loss is the policy's"),
        (lambda: compiled(data, run_eagerly=True), r"run_functions_eagerly"),
        (lambda: compiled(data, jit_compile=True), "XLA is slow"),
        (
            lambda: compiled(data, metric=1),
            "takes optimizer, policy, objective, l2 and negative_weight. Received: metric=1",
        ),
        (lambda: compiled(data, policy="t_cee"), "Unknown policy 't_cee'. Did you mean 't_ce'"),
        (lambda: model.fit(frame), r"fit\(tfadt.from_frame\(frame\)\)"),
        (lambda: model.evaluate(frame), r"evaluate\(tfadt.from_frame\(frame\)\)"),
        (lambda: model.predict(data), r"recommend\(user_ids, k\) ranks items"),
        (lambda: model.fit(pairs[0][0], pairs[1]), r"Expected an InteractionData or \(\(users, items\), labels\)"),
        (lambda: model.fit(data, epochs=0), "epochs must be at least 1. Received: 0"),
        (lambda: model.fit(data, batch_size=0), "batch_size must be at least 1. Received: 0"),
        (lambda: model.fit(data, validation_data=pairs), "is validated on a data set. Received: tuple"),
        (lambda: model.save(tmp_path / "m.h5"), "ends in .keras"),
        (lambda: model.export(tmp_path / "sm"), "tfadt export RUN"),
    ):
        with pytest.raises(ConfigError, match=text):
            call()
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope(), pytest.raises(ConfigError, match="in the scope of the distr"):
        model.compile()
