"""Noise of known truth in a copy of the reader's own log: what each policy of a study would catch of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from tfadt.config import Config
from tfadt.config.loading import settings_of, with_settings
from tfadt.data import artifact
from tfadt.data.ingest import from_frame
from tfadt.data.interactions import InteractionData
from tfadt.data.noise import By, inject
from tfadt.errors import DataError, first_line
from tfadt.experiments.denoise import distrust, noise_scores
from tfadt.experiments.run import POPULAR
from tfadt.experiments.saved import SavedRun
from tfadt.registry import PLAIN, POLICIES, is_control, is_out_of_reach
from tfadt.study.progress import takes_too_long
from tfadt.study.rows import Row, impossible, models
from tfadt.training.plan import make_policy

BY: By = "popularity"
"""How the items of injected clicks are drawn: as a front page would show them, which is harder to tell than at random."""


@dataclass(frozen=True)
class Injection:
    """The trainings of a study on a log with injected noise: one model under several policies, or none.

    Attributes:
        model: Registered name.
        policies: Registered names; plain training, and those of the study that denoise.
        why: Why there are none; None where there are.
    """

    model: str = ""
    policies: tuple[str, ...] = ()
    why: str | None = None

    @property
    def row(self) -> str:
        """What the countdown calls them."""
        return f"{self.model}-injected"


def plan_injection(
    config: Config,
    asked: Collection[Row],
    data: InteractionData,
    seconds: Mapping[str, tuple[float, float]],
    folder: Path,
    processes: int,
    hours: float,
    spent: float,
) -> Injection:
    """Makes the noisy log, or reads the one that was made before, and says what is to be trained on it.

    That is the model that the study trains under most policies, of several the fastest; not the most popular items, which
    learn nothing of a user.

    Args:
        config: The settings of the study, with its models.
        asked: The models and policies that it was asked for; on the noisy log more is known of the clicks than it may be
            there, so that a policy is possible which the data do not allow.
        data: The data set.
        seconds: Of one training of each model, at least and at most.
        folder: Of the noisy log.
        processes: How many trainings at once.
        hours: Within which the study is to end.
        spent: Seconds that all else of it takes, as expected.
    """
    if not config.study.injected_share:
        return Injection(why="it was not asked for (study.injected_share)")
    try:
        log = artifact.load(folder) if artifact.is_artifact(folder) else _noisy(data, config)
    except DataError as error:
        return Injection(why=first_line(error).rstrip("."))
    denoising = [each for each in POLICIES if not (each == PLAIN or is_out_of_reach(each) or is_control(each))]
    left_out = impossible([each for each in denoising if any(each == policy for _, policy in asked)], log, config)

    def fitting(model: str) -> list[str]:
        return [each for each in denoising if (model, each) in asked and each not in left_out]

    learning = [each for each in models(config) if each != POPULAR] or [POPULAR]
    model = max(learning, key=lambda each: (len(fitting(each)), -seconds[each][0]))
    found = Injection(model, (PLAIN, *fitting(model)))
    if len(found.policies) == 1:
        return Injection(why="no policy of the study denoises")
    expected = seconds[model][0] * len(found.policies) / processes
    if spent + expected > hours * 3600:
        return Injection(why=takes_too_long(expected, hours))
    artifact.save(log, folder)
    return found


def _noisy(data: InteractionData, config: Config) -> InteractionData:
    """Returns a copy of a log in which a share of the liked clicks goes to items that their users never clicked.

    Raises:
        DataError: If the log is too small for it.
    """
    log = inject(data, config.study.injected_share, BY, config.adt.seed)
    if not log["false_positive"].any():
        raise DataError("No user has an item left that it has not clicked.")
    return from_frame(log, _of_noisy(config).ingest)


def _of_noisy(config: Config) -> Config:
    """Returns the settings with those under which the noisy log is read; of its flags as large a share becomes known."""
    known = config.ingest.extra_feedback
    own = {"extra_feedback": {"share": known.share, "seed": known.seed}, "memory_limit": config.ingest.memory_limit}
    return with_settings(config, {"ingest": own})


def injected_config(config: Config, injection: Injection, methods: Mapping[str, Any], folder: Path) -> Config:
    """Returns the settings of the run on the noisy log: one seed, and the noise model at its default strength.

    Args:
        config: The settings of the study.
        injection: What is trained.
        methods: The section `method`, with the settings that each training has in the study.
        folder: Of the noisy log.
    """
    return with_settings(
        _of_noisy(config),
        {
            "ingest.data": [str(folder)],
            "adt.trainings": [f"{injection.model}-{policy}" for policy in injection.policies],
            "adt.seeds": 1,
            "collide.enabled": False,
            "denoising.strength": "fixed",
            "method": dict(methods),
        },
    )


def caught(run: SavedRun) -> list[dict[str, Any]]:
    """Returns how well each training of a run tells the false positives of its log, of those that nobody told it.

    Returns:
        `model` and `policy`; `caught`, the share of the false positives that is among as many interactions as there are
        of them, those that the policy trusts least (`tfadt.experiments.denoise.distrust`); `random`, what as many drawn at
        random would catch; `auc`, the chance that a false positive is trusted less than a true one; `recall` on the clean
        test, at the first cut-off.
    """
    k = run.config.evaluate.k[0]
    found = []
    for name, record in run.trained.items():
        settings = settings_of(run.config, record.model, str(record.policy))
        policy = make_policy(str(record.policy), settings)
        scores = noise_scores(run.load_model(name), run.data, settings.adt, policy, record.adt_step)
        unknown = (scores["known_feedback"] == "").to_numpy()
        false = scores["false_positive"].to_numpy(bool)[unknown]
        found.append(
            {
                "model": record.model,
                "policy": record.policy,
                **separation(distrust(scores)[unknown], false),
                "recall": record.metrics[f"recall@{k}"],
            }
        )
    return found


def separation(distrusted: np.ndarray, false: np.ndarray) -> dict[str, float | None]:
    """Returns how well a score tells false positives: `caught`, `random` and `auc`, as `caught` has them.

    Of equal scores at the border of the least trusted a random draw is expected to have its part.

    Args:
        distrusted: float64 `[n]`, larger for less trust.
        false: bool `[n]`.

    Returns:
        None for `caught` and `auc` where there is no false positive or nothing else.
    """
    n, positives = len(false), int(false.sum())
    random = positives / n if n else None
    if positives in (0, n):
        return {"caught": None, "random": random, "auc": None}
    border = np.sort(distrusted)[n - positives]
    above, at = distrusted > border, distrusted == border
    hits = (false & above).sum() + (positives - above.sum()) * false[at].mean()
    ranks = rankdata(distrusted)
    auc = (ranks[false].sum() - positives * (positives + 1) / 2) / (positives * (n - positives))
    return {"caught": float(hits / positives), "random": random, "auc": float(auc)}
