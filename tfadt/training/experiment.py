"""A run: every model under every policy with every seed, on one data set, ranked by one protocol."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tfadt.config import Config
from tfadt.data import artifact
from tfadt.data.ingest import ingest
from tfadt.data.interactions import CSR, InteractionData
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.popularity import MostPopular
from tfadt.evaluation.ranking import Evaluation, RankingEvaluator
from tfadt.training.progress import Progress
from tfadt.training.selection import check_selection
from tfadt.training.stages import Plan, Trained, check_policy, plans, train

POPULAR = "most_popular"
_MARKER = ".tfadt-run"
_FOLDERS = ("data", "models", "per_user", "logs")
_FILES = ("results.json", "results.md", "training.parquet")


@dataclass(frozen=True)
class Run:
    """One row of the results: a training (or the popularity floor) and how well it ranks the clean test.

    Attributes:
        model: Registered name, or `most_popular`.
        policy: Registered name; None for `most_popular`.
        seed: None for `most_popular`.
        selection: The rule that chose the checkpoint; None for `most_popular`.
        evaluation: Metrics, and metrics of each user.
        realised_drop_rate: Share of the rows that the last epoch dropped.
        best_step: The selected step.
        selection_score: Its score under the rule, larger is better; None under `last`.
        without_negative: Training interactions of users who have every item: they are trained on without a negative.
        seconds: Wall time of training, validation included, and of the test.
    """

    model: str
    policy: str | None
    seed: int | None
    selection: str | None
    evaluation: Evaluation
    realised_drop_rate: float
    best_step: int | None
    selection_score: float | None
    without_negative: int
    seconds: float

    @property
    def name(self) -> str:
        """File name of what the run leaves."""
        return POPULAR if self.policy is None else f"{self.model}-{self.policy}-{self.seed}"

    def as_dict(self) -> dict[str, Any]:
        """Returns the row for `results.json`."""
        return {
            "model": self.model,
            "policy": self.policy,
            "seed": self.seed,
            "selection": self.selection,
            "metrics": self.evaluation.metrics,
            "realised_drop_rate": self.realised_drop_rate,
            "best_step": self.best_step,
            "selection_score": self.selection_score,
            "without_negative": self.without_negative,
            "seconds": round(self.seconds, 3),
        }


def seen_at_test(data: InteractionData, config: Config) -> CSR:
    """Returns the items that the test ranking leaves out."""
    return data.history("train", "valid") if config.evaluate.mask == "train_valid" else data.history()


def test_evaluator(data: InteractionData, config: Config) -> RankingEvaluator:
    """Returns the evaluator of the test split."""
    activity = np.bincount(data.train.user, minlength=data.num_users)
    return RankingEvaluator(
        data.test, seen_at_test(data, config), config.evaluate.k, activity, drop_empty=config.evaluate.drop_empty
    )


def most_popular(data: InteractionData, evaluator: RankingEvaluator) -> Run:
    """Ranks by training count: the floor of every comparison."""
    begun = time.perf_counter()
    counts = np.bincount(data.train.item, minlength=data.num_items)
    evaluation = evaluator(MostPopular(data.num_users, counts))
    return Run(POPULAR, None, None, None, evaluation, 0.0, None, None, 0, time.perf_counter() - begun)


def prepare_folder(out: Path) -> None:
    """Makes the output folder, replacing an earlier run's results there.

    Raises:
        DataError: If the folder holds something else, or cannot be made.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / _MARKER).is_file()):
        raise DataError(f"{out} exists and holds no tfadt run. Expected a new folder or an earlier run's.")
    try:
        for name in _FILES:
            (out / name).unlink(missing_ok=True)
        for name in _FOLDERS:
            shutil.rmtree(out / name, ignore_errors=True)
            (out / name).mkdir(parents=True)
        (out / _MARKER).write_text("Written by `tfadt run`, which may replace this folder's results.\n")
    except OSError as error:
        raise DataError(f"The output folder {out} cannot be written: {error.strerror or error}.") from error


def run_experiment(
    config: Config,
    out: Path,
    progress: Progress | None = None,
    after_each: Callable[[InteractionData, list[Run]], object] | None = None,
) -> tuple[InteractionData, list[Run]]:
    """Ingests, trains every plan of the configuration, evaluates each on the test split and keeps what they leave.

    Writes `out/data` (the artifact), `out/models/NAME.keras`, `out/per_user/NAME.parquet`, `out/logs/NAME` (TensorBoard) and
    `out/training.parquet` (one row an epoch of each training).

    Args:
        config: The settings.
        out: Output folder.
        progress: Hears how the run goes on.
        after_each: Called after each training with the data and the runs so far, so that a report can be kept up to date.

    Returns:
        The data set and the runs, the popularity floor first.

    Raises:
        ConfigError: If a setting cannot be used; raised before anything is trained.
        DataError: If the data cannot be used.
    """
    listener = progress or Progress()
    todo = plans(config)
    for policy in config.adt.policies:
        check_policy(policy, config)
    _check_start(config, todo, out)
    data = ingest(config.ingest, listener.say)
    _check_vocabularies(data, config)
    check_selection(config.adt.selection, data)
    prepare_folder(out)
    artifact.save(data, out / "data")
    evaluator = test_evaluator(data, config)
    runs = [most_popular(data, evaluator)]
    runs[0].evaluation.per_user.to_parquet(out / "per_user" / f"{POPULAR}.parquet", index=False)
    epochs: list[pd.DataFrame] = []
    for plan in todo:
        trained = train(plan, data, config, out / "logs" / plan.name, listener)
        run = _evaluate(plan, trained, evaluator, config)
        trained.model.save(out / "models" / f"{run.name}.keras")
        run.evaluation.per_user.to_parquet(out / "per_user" / f"{run.name}.parquet", index=False)
        epochs.append(trained.history.assign(model=plan.model, policy=plan.policy, seed=plan.seed))
        runs.append(run)
        first = config.evaluate.k[0]
        listener.end(plan.name, f"recall@{first} {run.evaluation.metrics[f'recall@{first}']:.4f}, {run.seconds:.1f} s")
        # Each training builds graphs of its own; without this they would pile up over a long run.
        keras.backend.clear_session()
        pd.concat(epochs, ignore_index=True).to_parquet(out / "training.parquet", index=False)
        if after_each is not None:
            after_each(data, runs)
    return data, runs


def _evaluate(plan: Plan, trained: Trained, evaluator: RankingEvaluator, config: Config) -> Run:
    begun = time.perf_counter()
    evaluation = evaluator(trained.model)
    return Run(
        plan.model,
        plan.policy,
        plan.seed,
        config.adt.selection,
        evaluation,
        float(trained.history["drop_rate"].iloc[-1]),
        trained.best_step,
        trained.selection_score,
        trained.without_negative,
        trained.seconds + time.perf_counter() - begun,
    )


def _check_start(config: Config, todo: Sequence[Plan], out: Path) -> None:
    start = config.adt.start_from
    if start is None:
        return
    if not (start / "models").is_dir():
        raise DataError(f"{start} is not the folder of an earlier run: it has no folder 'models'.")
    for plan in todo:
        if not (start / "models" / f"{plan.name}.keras").is_file():
            raise DataError(f"{start} has no model {plan.name} to start from.")
    if start.resolve() == out.resolve():
        raise ConfigError(f"A run cannot start from and write to the same folder. Received: {out}.")


def _check_vocabularies(data: InteractionData, config: Config) -> None:
    if config.adt.start_from is None:
        return
    earlier = artifact.load(config.adt.start_from / "data")
    for kind in ("users", "items"):
        if not np.array_equal(getattr(data, kind).ids, getattr(earlier, kind).ids):
            raise DataError(
                f"{config.adt.start_from} was trained on other {kind}, so its weights cannot be the start. "
                "Expected the same training ids."
            )
