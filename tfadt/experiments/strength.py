"""Automatic strength: the training that is expected to show the fewest disliked items at nearly plain training's recall.

What is liked and disliked on validation is known for a share of it alone; for the rest the noise model's p stands in. So the
choice asks for no more feedback than training had.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfadt.config import Config
from tfadt.config.denoising import NOISE_MODEL, is_automatic
from tfadt.config.loading import settings_of
from tfadt.data.interactions import InteractionData
from tfadt.denoising.noise_model import NoiseModel
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.expected import Expected, ExpectedEvaluator
from tfadt.evaluation.protocol import of_sampled_users
from tfadt.models.noise_ranked import NoiseRanked
from tfadt.registry import PLAIN, POLICIES, is_out_of_reach
from tfadt.training.checkpoints import CheckpointStore
from tfadt.training.plan import Plan, applicable, check_training
from tfadt.training.progress import Progress, Renamed
from tfadt.training.stages import Trained, train


@dataclass(frozen=True)
class Strength:
    """One candidate.

    Attributes:
        policy: Registered name.
        power: Power of the noise model's weights.
        gamma: Strength of ranking by the noise model.
    """

    policy: str = PLAIN
    power: float = 0.0
    gamma: float = 0.0

    @property
    def label(self) -> str:
        """A file name of the training, which does not hang on how it ranks."""
        return f"{self.policy}-{self.power:g}" if self.policy == NOISE_MODEL else self.policy


NONE = Strength()


def strengths(model: str, config: Config) -> list[Strength]:
    """Returns the candidates for a model: plain training first, each training's rankings together."""
    settings = config.denoising
    gammas = sorted({0.0, *settings.gammas})
    weighed = [(NOISE_MODEL, power) for power in sorted(set(settings.powers) - {0.0})]
    found = [Strength(policy, power, gamma) for policy, power in ((PLAIN, 0.0), *weighed) for gamma in gammas]
    others = [each for each in settings.policies if applicable(model, [each], config) == (each,) and each != PLAIN]
    return found + [Strength(each) for each in others]


def has_automatic_strength(plan: Plan, config: Config) -> bool:
    """Returns whether the strength of a training's policy is chosen on validation."""
    return is_automatic(plan.policy, settings_of(config, plan.model, plan.policy))


def check_candidates(plan: Plan, config: Config) -> None:
    """Raises ConfigError if a policy that would be tried cannot be trained under, or is an oracle: none is ever chosen."""
    try:
        for name in config.denoising.policies:
            POLICIES.check(name)
            if is_out_of_reach(name):
                raise ConfigError(f"expected policies to choose from, which an oracle is not. Received: '{name}'.")
        for policy in dict.fromkeys(each.policy for each in strengths(plan.model, config)):
            check_training(plan.model, policy, plan.stages, settings_of(config, plan.model, policy))
    except ConfigError as error:
        raise ConfigError(f"Setting 'denoising.policies': {error}") from error


def train_at_best_strength(
    plan: Plan,
    data: InteractionData,
    config: Config,
    logs: Path | None = None,
    progress: Progress | None = None,
    checkpoints: CheckpointStore | None = None,
    weights: Path | None = None,
) -> Trained:
    """Trains every candidate and returns the one that is chosen, with the choice and the frontier in `strength`.

    Arguments are those of `tfadt.training.stages.train`; a training that was cut goes on with the candidate it was in.

    Raises:
        DataError: If the known clicks do not suffice for a noise model, or there is no validation to choose on.
    """
    if not _is_known(data):
        why = "no click is known to be liked or disliked, so nobody can judge a strength: plain training"
        warnings.warn(f"{plan.name}: {why} (see ingest.extra_feedback).", stacklevel=2)
        # Where the candidate of that name would keep them.
        store = None if checkpoints is None else CheckpointStore(checkpoints.folder / NONE.label)
        folder = None if logs is None else logs / NONE.label
        trained = train(replace(plan, policy=PLAIN), data, config, folder, progress, store, weights)
        return replace(trained, strength={"chosen": _named(NONE), "why": why, "frontier": []})
    if not len(data.valid):
        raise DataError(
            f"{plan.name}: the strength of denoising is chosen on validation. Received: no validation interactions (set "
            f"policy.{NOISE_MODEL}.power and gamma)."
        )
    noise = NoiseModel.fit(data.train, data.num_users, data.num_items)
    k = config.evaluate.k[0]  # that of verdicts
    # What ranks and judges knows users and items alone: by taste it would praise a model for ranking by taste, as any does.
    untasted = NoiseModel.fit(data.train, data.num_users, data.num_items, with_taste=False)
    valid = of_sampled_users(data.valid, config)
    evaluator = ExpectedEvaluator(valid, untasted.probabilities(valid), data.history(), k)
    candidates = strengths(plan.model, config)
    trainings: dict[str, Trained] = {}
    count = len({candidate.label for candidate in candidates})
    found: list[Expected] = []
    for candidate in candidates:
        if candidate.label not in trainings:
            store = None if checkpoints is None else CheckpointStore(checkpoints.folder / candidate.label)
            settled = with_strength(replace(candidate, gamma=0.0), config)
            folder = None if logs is None else logs / candidate.label
            its_plan = replace(plan, policy=candidate.policy)
            label = f"{plan.name} strength {len(trainings) + 1} of {count} ({candidate.label})"
            listener = None if progress is None else Renamed(progress, label)
            trainings[candidate.label] = train(its_plan, data, settled, folder, listener, store, weights)
        model = trainings[candidate.label].model
        found.append(evaluator(NoiseRanked.of(model, untasted, candidate.gamma) if candidate.gamma else model))
    best, why = choose(found, config.denoising.max_recall_loss)
    chosen = trainings[candidates[best].label]
    if candidates[best].gamma:
        chosen = replace(chosen, model=NoiseRanked.of(chosen.model, untasted, candidates[best].gamma))
    frontier = [
        {**_named(candidate), "expected_recall": each.mean_recall, "expected_false_share": each.false_share}
        for candidate, each in zip(candidates, found, strict=True)
    ]
    record = {"chosen": _named(candidates[best]), "why": why, "k": k, "frontier": frontier}
    record["noise_model"] = {"known": list(noise.known), **noise.calibration.as_dict()}
    record["optimistic"] = _share_known(data, "valid") > 1.5 * _share_known(data, "train")
    seconds = sum(trained.seconds for trained in trainings.values())
    return replace(chosen, seconds=seconds, strength=record)


def choose(found: Sequence[Expected], max_recall_loss: float) -> tuple[int, str]:
    """Returns which candidate is chosen, and why.

    Of those that lose no more than `max_recall_loss` of plain training's expected recall, and whose gain in expected false
    share is no chance (its 95 % interval by a bootstrap over users lies above 0), the one with the smallest false share;
    else none. Plain training sets the bar, not the best candidate: the best of some twenty is above the rest by luck, and
    plain training is what it is judged against.

    Args:
        found: What each candidate reaches on validation; the first is plain training.
        max_recall_loss: Share of plain training's expected recall.
    """
    plain = found[0]
    least = (1 - max_recall_loss) * plain.mean_recall
    fewer = [n for n, each in enumerate(found) if each.mean_recall >= least and each.false_share < plain.false_share]
    if not fewer:
        return 0, "plain training is expected to show the fewest disliked items"
    largest = ""
    for best in sorted(fewer, key=lambda n: found[n].false_share):
        low, high = found[best].gain_interval(plain)
        shares = f"{plain.false_share:.4f} to {found[best].false_share:.4f}"
        gain = f"{shares} of the hits are expected to be disliked (gain {low:+.4f} to {high:+.4f})"
        if low > 0:
            return best, gain
        largest = largest or gain
    return 0, f"none, since what is gained may be chance: {largest}"


def with_strength(strength: Strength, config: Config) -> Config:
    """Returns the configuration under which a candidate trains and ranks."""
    if strength.policy != NOISE_MODEL:
        return config
    own = {**config.policy.get(NOISE_MODEL, {}), "power": strength.power, "gamma": strength.gamma}
    return config.model_copy(update={"policy": {**config.policy, NOISE_MODEL: own}})


def strength_of(record: dict[str, Any]) -> Strength:
    """Returns the strength that a run's record says was chosen."""
    return Strength(**record["chosen"])


def _named(strength: Strength) -> dict[str, Any]:
    return {"policy": strength.policy, "power": strength.power, "gamma": strength.gamma}


def _is_known(data: InteractionData) -> bool:
    return any(flags is not None and bool(flags.any()) for flags in (data.train.known_positive, data.train.known_negative))


def _share_known(data: InteractionData, name: str) -> float:
    split = getattr(data, name)
    known = [flags.mean() for flags in (split.known_positive, split.known_negative) if flags is not None]
    return float(sum(known))
