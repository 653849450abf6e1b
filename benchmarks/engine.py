"""The train step: ours against dense Adam, stock Keras, plain PyTorch and the machine's limits; and how it grows."""

from __future__ import annotations

import itertools
import resource
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.baselines import BATCH, DIM, DROP_RATE, machine, matrix_products, stock_keras, torch_loop
from benchmarks.clicks import ADRESSA, AMAZON_BOOK, YELP, clicks
from benchmarks.figures import Figure, cost, interleaved, speed_up
from tfadt.data.interactions import InteractionData
from tfadt.denoising.truncated import TCE
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF
from tfadt.models.neumf import NeuMF
from tfadt.models.stepping import Stepper
from tfadt.sampling.shared import SharedSampler

MODELS: dict[str, Any] = {"gmf": GMF, "neumf": NeuMF, "cdae": CDAE}
SHARED_BATCH = 4096
_MS = 1e3
_NEUMF_LAYERS = [(8 * DIM, 4 * DIM), (4 * DIM, 2 * DIM), (2 * DIM, DIM)]


def stepping(name: str, data: InteractionData, steps: int, optimizer: Any = None) -> Callable[[], int]:
    """Returns what makes `steps` T-CE steps on the data in one call, batches drawn on the device."""
    model = MODELS[name].from_interactions(data)
    model.compile(optimizer, TCE(DROP_RATE, 1000))
    source = model.batch_source(data.train, model.negative_sampler(data))
    model.policy.prepare(10_000, source.positive_share)
    run = Stepper(source, model._train_on, model.get_metrics_result, model.strategy)
    made = 0

    def work() -> int:
        nonlocal made
        run(iter([(tf.constant(made, tf.int64), tf.constant(steps))]))
        made = (made + steps) % max(source.steps_per_epoch - steps, 1)
        return steps

    return work


def steps() -> list[Figure]:
    """GMF and NeuMF at three sizes against dense Adam; at Adressa's also against stock Keras, PyTorch and bare products."""
    figures = []
    limits = machine()
    figures.append(Figure("this machine: matrix product", limits["gflops"], "GFLOP/s", "", None, limits["gflops"]))
    figures.append(Figure("this machine: memory", limits["gb_per_s"], "GB/s", "", None, limits["gb_per_s"]))
    targets = {"gmf": (28.0, 45.0), "neumf": (20.0, 40.0)}
    for label, size in (("Adressa", ADRESSA), ("Yelp", YELP), ("Amazon-book", AMAZON_BOOK)):
        data = clicks(*size)
        for name in ("gmf", "neumf"):
            work = {
                "ours": stepping(name, data, 100 if name == "gmf" else 25),
                "dense": stepping(name, data, 4, keras.optimizers.Adam(1e-3, epsilon=1e-8)),
            }
            if label == "Adressa" and name == "neumf":
                work["products"] = matrix_products(BATCH, _NEUMF_LAYERS)
            best = {key: seconds * _MS for key, seconds in interleaved(work, 12).items()}
            at_least, aim = targets[name] if label == "Adressa" else (None, None)
            line = f"{name} T-CE step, {label}"
            figures.append(
                speed_up(line, "ms/step", best["ours"], "dense Adam, sampling in the graph", best["dense"], at_least, aim)
            )
            if label == "Adressa":
                stock = min(stock_keras(name, data) for _ in range(2)) * _MS
                target = {"gmf": 50.0, "neumf": 25.0}[name]
                figures.append(speed_up(line, "ms/step", best["ours"], "stock Keras fit", stock, target))
                plain = torch_loop(name, data)
                if plain is not None:
                    figures.append(speed_up(line, "ms/step", best["ours"], "plain PyTorch, dense Adam", plain * _MS))
            if "products" in best:
                figures.append(cost(line, "ms/step", best["ours"], "its own matrix products", best["products"], 2.5, 1.5))
            keras.backend.clear_session()
    return figures


def shared() -> list[Figure]:
    """Positives a second of GMF against 512 negatives that a step shares, beside one negative for each positive."""
    data, steps = clicks(*YELP), 20

    def training(objective: str, sampler: Any, rows: int) -> Callable[[], int]:
        model = GMF.from_interactions(data, embedding_dim=64, item_bias=True)
        model.compile(objective=objective, l2=0.01)
        source = model.batch_source(data.train, sampler(model), rows)
        run = Stepper(source, model._train_on, model.get_metrics_result, model.strategy)
        calls = itertools.cycle(range(0, source.steps_per_epoch - steps, steps))

        def work() -> int:
            run(iter([(tf.constant(next(calls), tf.int64), tf.constant(steps))]))
            return steps * SHARED_BATCH

        return work

    best = interleaved(
        {
            "shared": training("softmax", lambda model: SharedSampler(data.num_items, 512), SHARED_BATCH),
            "by row": training("binary_crossentropy", lambda model: model.negative_sampler(data), 2 * SHARED_BATCH),
        },
        12,
    )
    rates = {name: 1.0 / seconds for name, seconds in best.items()}
    line = f"gmf softmax, d 64, 512 shared negatives, {SHARED_BATCH:,} positives a step"
    beside = "one negative for each positive, cross-entropy"
    return [Figure(line, rates["shared"], "positives/s", beside, rates["by row"], rates["shared"], 250_000.0)]


def growth() -> list[Figure]:
    """What a step costs when users or items grow and the work does not."""
    figures = []
    rows = 1_000_000
    sizes = (10**4, 10**5, 10**6, 10**7)
    work = {str(users): stepping("gmf", clicks(users, 6_596, rows), 100) for users in sizes}
    best = interleaved(work, 12)
    least = best[str(sizes[0])] * _MS
    for users in sizes[1:]:
        target = (1.25, 1.1) if users == sizes[-1] else (None, None)
        figures.append(
            cost(f"gmf T-CE step, {users:,} users", "ms/step", best[str(users)] * _MS, f"{sizes[0]:,} users", least, *target)
        )
    small = clicks(20_000, 6_596, 400_000)
    # The same histories, in a catalogue of which nine tenths are never clicked.
    large = InteractionData(
        small.train, small.valid, small.test, small.users, type(small.items)(np.arange(65_960), small.items.name)
    )
    best = interleaved({"small": stepping("cdae", small, 10), "large": stepping("cdae", large, 10)}, 15)
    figures.append(
        cost("cdae T-CE step, 65,960 items", "ms/step", best["large"] * _MS, "6,596 items", best["small"] * _MS, 1.3, 1.1)
    )
    return figures


def memory() -> list[Figure]:
    """Peak memory of a training with ten million users, in a process of its own."""
    data = clicks(10**7, 6_596, 1_000_000)
    model = GMF.from_interactions(data)
    model.compile(policy=TCE(DROP_RATE, 1000))
    model.fit(data, epochs=1, batch_size=BATCH * 4)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return [Figure("peak memory, fit, 10,000,000 users x 32", peak, "GB", "", None, peak, 6.0, False, 5.0)]
