"""Stage `collide`: chooses lambda and |N| for the trainings of a run that had a warm-up, and measures them on the test.

Leaves `collide/NAME.json` (what was chosen for each group of users, and the curves of the paper's Figure 11) and
`collide/NAME.parquet` (each user's metrics with and without) in the run's folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import InstanceOf, TypeAdapter

from tfadt.atomic import write_atomically, write_text
from tfadt.errors import DataError, reading, writing
from tfadt.evaluation.protocol import group_evaluator, selecting_rows
from tfadt.evaluation.rules import selection_k
from tfadt.experiments.folder import read_per_user
from tfadt.experiments.saved import SavedRun
from tfadt.inference.colliding import CollidingScorer, Mix
from tfadt.inference.mixtures import Choice, choose, mixture_recall
from tfadt.inference.neighbors import neighbor_table, sparse_users
from tfadt.models.recommender import Recommender
from tfadt.training.progress import Progress


@dataclass(frozen=True)
class Group:
    """The users that colliding inference is applied to.

    Attributes:
        below: Their extra feedback / clicks is below this.
        include_empty: Whether users without any extra feedback belong to them.
    """

    below: float
    include_empty: bool

    def users(self, ratio: np.ndarray) -> np.ndarray:
        """Returns who belongs to the group, bool `[num_users]`, given each user's ratio."""
        return sparse_users(ratio, self.below, self.include_empty)


@dataclass(frozen=True)
class Collided:
    """What colliding inference does for one training and one group of users.

    Attributes:
        name: Name of the training, such as `gmf-t_ce-warmup+adt-0`.
        model, policy, plan, seed: Which training.
        group: Its users.
        mix: What was mixed.
        sizes, lambdas: The grid that was chosen from.
        choice: What was chosen on validation.
        plain: Each test user's metrics in the plain ranking (`user` and the metrics), empty where the test has none.
        mixed: The same with colliding inference, the same users in the same order.
    """

    name: str
    model: str
    policy: str
    plan: str
    seed: int
    group: Group
    mix: Mix
    sizes: tuple[int, ...]
    lambdas: tuple[float, ...]
    choice: Choice
    plain: InstanceOf[pd.DataFrame]
    mixed: InstanceOf[pd.DataFrame]

    def mean(self, metric: str, mixed: bool) -> float | None:
        """Returns the mean of a metric over the group's test users; None where there are none."""
        frame = self.mixed if mixed else self.plain
        return float(frame[metric].mean()) if len(frame) else None

    def as_dict(self) -> dict[str, Any]:
        """Returns it for `results.json`."""
        metrics = [name for name in self.plain.columns if "@" in name]
        means = {
            name: {metric: self.mean(metric, mixed) for metric in metrics}
            for name, mixed in (("plain", False), ("colliding", True))
        }
        return {**self.record(), "test_users": len(self.plain), **means}

    def record(self) -> dict[str, Any]:
        """Returns everything but the users' metrics, JSON-ready."""
        found: dict[str, Any] = _RECORD.dump_python(self, mode="json", exclude={"plain", "mixed"})
        return found


_RECORD = TypeAdapter(Collided)


def groups(run: SavedRun) -> list[Group]:
    """Returns the groups of a run: each threshold without the users that have no extra feedback, then each with them."""
    return [Group(below, empty) for empty in (False, True) for below in run.config.collide.ratios]


def collide(run: SavedRun, progress: Progress | None = None) -> list[Collided]:
    """Returns what colliding inference does for each training with warm-up and ADT, in the order of the results.

    What was measured before is read back.

    Raises:
        ConfigError: If there are as many neighbours asked for as there are users.
        DataError: If a model or its users' vectors cannot be read, or there is no validation to choose on.
    """
    listener = progress or Progress()
    found: list[Collided] = []
    for name in run.names:
        if can_collide(run, name):
            path = run.layout.collided(name)
            if not path.is_file():
                listener.say(f"{name}: colliding inference")
                _write(run, name, _collide(run, name))
            found += read_collided(run, name)
    return found


def can_collide(run: SavedRun, name: str) -> bool:
    """Returns whether a training went through warm-up and ADT, which colliding inference needs."""
    return {"warmup", "adt"} <= set(run.run(name).stages)


def _collide(run: SavedRun, name: str) -> list[Collided]:
    data, settings = run.data, run.config.collide
    if not len(data.valid):
        raise DataError("Colliding inference chooses lambda and |N| on validation. Received: no validation interactions.")
    row, model, ratio = run.run(name), run.load_model(name), data.extra_feedback_ratio
    lambdas, k = tuple(sorted({*settings.lambdas, 1.0})), selection_k(run.config, data)
    widest = Group(max(settings.ratios), include_empty=True)
    table = neighbor_table(run.warmup_space(name), ratio, widest.users(ratio), max(settings.neighbors), settings.search)
    rows = selecting_rows(data, run.config)
    users, recall = mixture_recall(model, table, rows, data.history(), settings.neighbors, lambdas, k, settings.mix)
    measured = _with_liked(read_per_user(run.layout, name))
    found = []
    for group in groups(run):
        members = group.users(ratio)
        choice = choose(recall[members[users]], settings.neighbors, lambdas)
        plain = measured[members[measured["user"]]].reset_index(drop=True)
        neighbors = np.where(members[:, None], table[:, : choice.num_neighbors], -1)
        mixed = _evaluate(run, model, neighbors, choice, members) if len(plain) and choice.lambda_ < 1 else plain
        found.append(
            Collided(
                name,
                row.model,
                str(row.policy),
                row.plan,
                row.seed or 0,
                group,
                settings.mix,
                settings.neighbors,
                lambdas,
                choice,
                plain,
                mixed,
            )
        )
    return found


def _evaluate(run: SavedRun, model: Recommender, neighbors: np.ndarray, choice: Choice, members: np.ndarray) -> pd.DataFrame:
    scorer = CollidingScorer(model, neighbors, choice.lambda_, run.config.collide.mix)
    return _with_liked(group_evaluator(run.data, run.config, members)(scorer).per_user)


def _with_liked(per_user: pd.DataFrame) -> pd.DataFrame:
    """Returns the users of whom the test knows something that they like; of others there is no recall to compare."""
    return per_user[per_user["activity_group"] >= 0].reset_index(drop=True)


def saved_scorer(run: SavedRun, name: str, model: Recommender) -> CollidingScorer:
    """Returns the model of a training with the colliding inference that was chosen for it, to be exported or ranked with.

    The users are those of the largest threshold, without users that have no extra feedback.

    Raises:
        DataError: If the run has not chosen any (`collide.enabled`), or the training had no warm-up.
    """
    chosen = read_collided(run, name)
    widest = max((each for each in chosen if not each.group.include_empty), key=lambda each: each.group.below)
    ratio = run.data.extra_feedback_ratio
    table = neighbor_table(
        run.warmup_space(name), ratio, widest.group.users(ratio), widest.choice.num_neighbors, run.config.collide.search
    )
    return CollidingScorer(model, table, widest.choice.lambda_, widest.mix)


def has_collided(run: SavedRun, name: str) -> bool:
    """Returns whether the stage left anything for a training."""
    return (run.layout.collided(name)).is_file()


def read_collided(run: SavedRun, name: str) -> list[Collided]:
    """Returns what the stage left for a training.

    Raises:
        DataError: If it left nothing, or the files cannot be read.
    """
    path = run.layout.collided(name)
    if not path.is_file():
        raise DataError(
            f"{run.folder} has no colliding inference for {name}. Expected a run with collide.enabled, and a training with "
            "warm-up."
        )
    with reading(path):
        records = json.loads(path.read_text(encoding="utf-8"))
        users = pd.read_parquet(path.with_suffix(".parquet"))
        return [_from_record(record, users) for record in records]


def _write(run: SavedRun, name: str, found: list[Collided]) -> None:
    frames = [
        frame.assign(below=each.group.below, include_empty=each.group.include_empty, mixed=mixed)
        for each in found
        for mixed, frame in ((False, each.plain), (True, each.mixed))
    ]
    records = [each.record() for each in found]
    path = run.layout.collided(name)
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        users = pd.concat(frames, ignore_index=True)
        write_atomically(path.with_suffix(".parquet"), lambda to: users.to_parquet(to, index=False))
        text = json.dumps(records, indent=2) + "\n"
        write_text(path, text)


def _from_record(record: dict[str, Any], users: pd.DataFrame) -> Collided:
    group = Group(**record["group"])
    ours = users[(users["below"] == group.below) & (users["include_empty"] == group.include_empty)]

    def frame(mixed: bool) -> pd.DataFrame:
        chosen = ours[ours["mixed"] == mixed]
        return chosen.drop(columns=["below", "include_empty", "mixed"]).reset_index(drop=True)

    return _RECORD.validate_python({**record, "plain": frame(False), "mixed": frame(True)})
