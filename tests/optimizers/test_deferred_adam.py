"""DeferredAdam against keras.optimizers.Adam, which moves every row at every step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfadt.errors import ConfigError
from tfadt.optimizers.deferred_adam import DeferredAdam

DIM = 3


def dense_step(optimizer, table, ids, gradient):
    whole = tf.scatter_nd(np.asarray(ids)[:, None], gradient, table.shape)
    optimizer.apply([whole], [table])


def deferred_step(optimizer, table, ids, gradient):
    rows = optimizer.rows(table, tf.constant(ids, tf.int64))
    optimizer.update(table, rows, gradient)
    optimizer.iterations.assign_add(1)


def shown(optimizer, table):
    optimizer.sync()
    return table.numpy()


def pair(rows, horizon, rate=0.01):
    start = np.random.default_rng(0).normal(size=(rows, DIM)).astype("float32")
    table, reference = keras.Variable(start), keras.Variable(start)
    table.deferred = True
    optimizer, dense = DeferredAdam(rate), keras.optimizers.Adam(rate)
    optimizer.build([table])
    dense.build([reference])
    optimizer.prepare(horizon)
    return optimizer, table, dense, reference


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_random_touches_end_where_dense_adam_ends(data):
    steps = data.draw(st.integers(1, 60))
    scale = 10.0 ** data.draw(st.integers(-12, 0))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    optimizer, table, dense, reference = pair(8, steps)
    for _ in range(steps):
        ids = np.flatnonzero(rng.random(8) < rng.choice([0.1, 0.5]))
        gradient = (scale * rng.normal(size=(len(ids), DIM))).astype("float32")
        dense_step(dense, reference, ids, gradient)
        deferred_step(optimizer, table, ids, gradient)
    np.testing.assert_allclose(shown(optimizer, table), reference.numpy(), rtol=0, atol=1e-4)


@settings(max_examples=6, deadline=None)
@given(gap=st.integers(1, 5000), scale=st.integers(-12, 0), seed=st.integers(0, 99))
def test_a_row_that_rested_for_thousands_of_steps(gap, scale, seed):
    rng = np.random.default_rng(seed)
    optimizer, table, dense, reference = pair(2, gap + 3)
    gradients = (10.0**scale * rng.normal(size=(gap + 2, 2, DIM))).astype("float32")

    @tf.function
    def rest(first):
        for k in tf.range(first, gap + 1):
            dense.apply([tf.scatter_nd([[0]], tf.constant(gradients)[k][:1], [2, DIM])], [reference])
            rows = optimizer.rows(table, tf.constant([0], tf.int64))
            optimizer.update(table, rows, tf.constant(gradients)[k][:1])
            optimizer.iterations.assign_add(1)

    dense_step(dense, reference, [0, 1], gradients[0])
    deferred_step(optimizer, table, [0, 1], gradients[0])
    rest(1)
    dense_step(dense, reference, [0, 1], gradients[gap + 1])
    deferred_step(optimizer, table, [0, 1], gradients[gap + 1])
    np.testing.assert_allclose(table.numpy(), reference.numpy(), rtol=0, atol=1e-4)


def test_a_learning_rate_schedule_is_followed_while_rows_rest():
    def schedule():
        return keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.5)

    start = np.ones((2, DIM), "float32")
    table, reference = keras.Variable(start), keras.Variable(start)
    table.deferred = True
    optimizer, dense = DeferredAdam(schedule()), keras.optimizers.Adam(schedule())
    optimizer.build([table])
    dense.build([reference])
    optimizer.prepare(40)
    for step in range(40):
        ids = [0] if step % 10 else [0, 1]
        gradient = np.full((len(ids), DIM), 0.1 + step, "float32")
        dense_step(dense, reference, ids, gradient)
        deferred_step(optimizer, table, ids, gradient)
    np.testing.assert_allclose(shown(optimizer, table), reference.numpy(), rtol=0, atol=1e-4)


def test_a_rate_assigned_on_the_way_counts_from_then_on():
    optimizer, table, dense, reference = pair(3, 30)
    for step in range(30):
        if step == 12:
            optimizer.learning_rate = 0.1
            dense.learning_rate = 0.1
        ids = [step % 2]
        gradient = np.full((1, DIM), 0.3, "float32")
        dense_step(dense, reference, ids, gradient)
        deferred_step(optimizer, table, ids, gradient)
    np.testing.assert_allclose(shown(optimizer, table), reference.numpy(), rtol=0, atol=1e-4)


def test_a_second_sync_changes_no_bit():
    def run(syncs):
        optimizer, table, _, _ = pair(6, 30)
        rng = np.random.default_rng(1)
        for step in range(30):
            ids = np.flatnonzero(rng.random(6) < 0.3)
            deferred_step(optimizer, table, ids, rng.normal(size=(len(ids), DIM)).astype("float32"))
            if step % 3 == 0:
                for _ in range(syncs):
                    optimizer.sync()
        return [table.numpy(), *(v.numpy() for v in optimizer.variables)]

    for a, b in zip(run(1), run(3), strict=True):
        np.testing.assert_array_equal(a, b)


def test_saved_state_continues_bit_for_bit(tmp_path):
    rng = np.random.default_rng(2)
    touches = [np.flatnonzero(rng.random(6) < 0.3) for _ in range(20)]
    gradients = [rng.normal(size=(len(ids), DIM)).astype("float32") for ids in touches]
    optimizer, table, _, _ = pair(6, 20)
    other, copy, _, _ = pair(6, 20)
    for step in range(20):
        if step == 11:
            copy.assign(table.numpy())
            other.set_weights([v.numpy() for v in optimizer.variables])
        deferred_step(optimizer, table, touches[step], gradients[step])
        if step >= 11:
            deferred_step(other, copy, touches[step], gradients[step])
    np.testing.assert_array_equal(table.numpy(), copy.numpy())


def test_brought_up_to_date_nothing_is_left_to_make_up():
    optimizer, table, dense, reference = pair(4, 10)
    for step in range(6):
        gradient = np.full((1, DIM), 1.0, "float32")
        dense_step(dense, reference, [step % 3], gradient)
        deferred_step(optimizer, table, [step % 3], gradient)
    optimizer.sync()
    np.testing.assert_allclose(table.numpy(), reference.numpy(), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(shown(optimizer, table), table.numpy())


def test_what_cannot_be_deferred_is_refused():
    with pytest.raises(ConfigError, match="cannot defer weight_decay"):
        DeferredAdam(weight_decay=0.1)
    with pytest.raises(ConfigError, match="cannot accumulate"):
        DeferredAdam(gradient_accumulation_steps=2)


def test_a_constant_rate_needs_no_horizon():
    optimizer, table, dense, reference = pair(3, 1)
    optimizer.iterations.assign(30_000)
    dense.iterations.assign(30_000)
    for last in optimizer._last_steps:
        last.assign(tf.fill([3], tf.constant(30_000, tf.int64)))
    for step in range(40):
        ids = [0] if step % 8 else [0, 1, 2]
        gradient = np.full((len(ids), DIM), 0.2, "float32")
        dense_step(dense, reference, ids, gradient)
        deferred_step(optimizer, table, ids, gradient)
    np.testing.assert_allclose(shown(optimizer, table), reference.numpy(), rtol=0, atol=1e-5)


def test_dense_variables_move_as_under_keras_adam():
    def rate():
        return keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.5)

    start = np.random.default_rng(3).normal(size=(4, DIM)).astype("float32")
    kernel, reference = keras.Variable(start), keras.Variable(start)
    optimizer, dense = DeferredAdam(rate(), epsilon=1e-8), keras.optimizers.Adam(rate(), epsilon=1e-8)
    for step in range(40):
        gradient = tf.constant(np.random.default_rng(step).normal(size=(4, DIM)), tf.float32)
        optimizer.apply([gradient], [kernel])
        dense.apply([gradient], [reference])
    np.testing.assert_allclose(kernel.numpy(), reference.numpy(), rtol=0, atol=1e-5)
    assert int(optimizer.iterations) == 40
