"""What we are compared with: stock Keras, plain PyTorch, and the machine's own limits."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from tfadt.data.interactions import CSR, InteractionData
from tfadt.models.gmf import GMF

BATCH = 1024
DIM = 32
DROP_RATE = 0.1


def stock_keras(name: str, data: InteractionData, steps: int = 30) -> float:
    """Trains as anybody would write it in Keras, and returns the seconds of a step.

    Functional model, `tf.data` shuffle and batch, `keras.optimizers.Adam`, `fit` as it comes. The first steps, in which the
    graph is traced and the shuffle buffer filled, do not count.
    """
    user, item = keras.Input((), dtype="int64"), keras.Input((), dtype="int64")

    def table(size: int, dim: int, ids: Any) -> Any:
        return keras.layers.Embedding(size, dim, embeddings_initializer=keras.initializers.RandomNormal(stddev=0.01))(ids)

    merged = table(data.num_users, DIM, user) * table(data.num_items, DIM, item)
    if name == "neumf":
        hidden = keras.layers.concatenate([table(data.num_users, 4 * DIM, user), table(data.num_items, 4 * DIM, item)])
        for width in (4 * DIM, 2 * DIM, DIM):
            hidden = keras.layers.Dense(width, activation="relu")(hidden)
        merged = keras.layers.concatenate([merged, hidden])
    model = keras.Model([user, item], keras.layers.Dense(1)(merged)[:, 0])

    def truncated(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        loss = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, tf.float32), logits)
        kept = tf.cast((1 - DROP_RATE) * tf.cast(tf.size(loss), tf.float32), tf.int32)
        return tf.reduce_mean(tf.gather(loss, tf.argsort(loss * tf.cast(labels, tf.float32))[:kept]))

    model.compile(keras.optimizers.Adam(1e-3), loss=truncated, jit_compile=False)
    train, n = data.train, len(data.train)
    rng = np.random.default_rng(0)
    columns = (
        (np.concatenate([train.user, train.user]), np.concatenate([train.item, rng.integers(0, data.num_items, n)])),
        np.concatenate([np.ones(n, np.float32), np.zeros(n, np.float32)]),
    )
    dataset = tf.data.Dataset.from_tensor_slices(columns).shuffle(2 * n, seed=0).batch(BATCH).repeat().prefetch(2)
    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter()))
    model.fit(dataset, epochs=1, steps_per_epoch=steps, verbose=0, callbacks=[clock])
    return float(np.median(np.diff(ends[steps // 3 :])))


def torch_loop(name: str, data: InteractionData, steps: int = 15) -> float | None:
    """Returns the seconds of a step of a plain PyTorch loop with dense Adam; None where PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    wide = 4 * DIM if name == "neumf" else 0
    users = torch.nn.Embedding(data.num_users, DIM + wide)
    items = torch.nn.Embedding(data.num_items, DIM + wide)
    sizes = [2 * wide, wide, wide // 2, DIM]
    layers = [m for a, b in itertools.pairwise(sizes) for m in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    mlp = torch.nn.Sequential(*layers) if wide else None
    output = torch.nn.Linear(2 * DIM if wide else DIM, 1)
    modules = torch.nn.ModuleList([m for m in (users, items, mlp, output) if m is not None])
    optimizer = torch.optim.Adam(modules.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)
    seconds = []
    for _ in range(steps):
        begun = time.perf_counter()
        rows = rng.integers(0, len(data.train), BATCH // 2)
        sampled = rng.integers(0, data.num_items, BATCH // 2)
        u = torch.as_tensor(np.tile(data.train.user[rows], 2))
        i = torch.as_tensor(np.concatenate([data.train.item[rows], sampled]))
        y = torch.cat([torch.ones(BATCH // 2), torch.zeros(BATCH // 2)])
        p, q = users(u), items(i)
        merged = p[:, :DIM] * q[:, :DIM]
        if mlp is not None:
            merged = torch.cat([merged, mlp(torch.cat([p[:, DIM:], q[:, DIM:]], 1))], 1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(output(merged)[:, 0], y, reduction="none")
        kept = torch.argsort(loss.detach() * y)[: int((1 - DROP_RATE) * BATCH)]
        optimizer.zero_grad()
        loss[kept].mean().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds[3:]))


def implicit_recommend(model: GMF, seen: CSR, users: np.ndarray, k: int) -> Callable[[], int] | None:
    """Returns what ranks users with the package `implicit`, given a GMF's vectors; None where it is not installed."""
    try:
        from implicit.cpu.als import AlternatingLeastSquares
    except ImportError:
        return None
    ranker = AlternatingLeastSquares(factors=model.embedding_dim)
    ranker.user_factors = model.user_table.value.numpy() * model.output_kernel.numpy()[:, 0]
    ranker.item_factors = model.item_table.value.numpy()
    shape = (model.num_users, model.num_items)
    clicked = sp.csr_matrix((np.ones(len(seen.items), np.float32), seen.items, seen.offsets), shape)[users]

    def work() -> int:
        ranker.recommend(users, clicked, N=k, filter_already_liked_items=True)
        return len(users)

    return work


def matrix_products(batch: int, layers: list[tuple[int, int]], repeat: int = 40) -> Callable[[], int]:
    """Returns the bare matrix products of layers, forward and backward: what a step of NeuMF cannot do without."""
    rng = np.random.default_rng(0)

    def tensor(*shape: int) -> tf.Variable:
        return tf.Variable(rng.normal(size=shape).astype(np.float32))

    given = [(tensor(batch, a), tensor(a, b), tensor(batch, b)) for a, b in layers]

    @tf.function(autograph=False)
    def run() -> tf.Tensor:
        def body(k: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            for x, w, g in given:
                forward, to_input, to_weight = x @ w, tf.matmul(g, w, transpose_b=True), tf.matmul(x, g, transpose_a=True)
                total += forward[0, 0] + to_input[0, 0] + to_weight[0, 0]
            return k + 1, total

        return tf.while_loop(lambda k, total: k < repeat, body, (0, 0.0), parallel_iterations=1)[1]

    def work() -> int:
        run()
        return repeat

    return work


def machine() -> dict[str, float]:
    """Returns the machine's own limits: GFLOP/s of a matrix product, GB/s of a copy."""
    side, floats = tf.Variable(tf.random.normal([2048, 2048])), tf.Variable(tf.zeros([1 << 26]))
    product = tf.function(lambda: (side @ side)[0, 0], autograph=False)
    copy = tf.function(lambda: floats.assign(floats + 1.0), autograph=False)
    best = {"product": float("inf"), "copy": float("inf")}
    for _ in range(6):
        for name, do in (("product", product), ("copy", copy)):
            begun = time.perf_counter()
            do()
            best[name] = min(best[name], time.perf_counter() - begun)
    return {"gflops": 2 * 2048**3 / best["product"] / 1e9, "gb_per_s": 2 * 4 * (1 << 26) / best["copy"] / 1e9}
