"""How a new log differs from what a run was trained on, and how well its model ranks what users clicked since.

Importing this does not import TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tfadt.config.pipeline import DriftConfig, DriftLimits
from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.data.statistics import divergence
from tfadt.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    from tfadt.evaluation.ranking import Told
    from tfadt.experiments.saved import SavedRun

LIMITS = {name: str(limit.description).rstrip(".") for name, limit in DriftLimits.model_fields.items()}
"""What can be limited, and what it is."""


def parse_limits(texts: Sequence[str]) -> dict[str, float]:
    """Returns the limits that texts such as `new_items=0.2` name.

    Raises:
        ConfigError: If one is of something that cannot be limited, or no number.
    """
    limits = {}
    for text in texts:
        key, _, value = text.partition("=")
        if key not in LIMITS:
            raise ConfigError(f"Unknown limit '{key}'.{did_you_mean(key, LIMITS)}")
        try:
            limits[key] = float(value)
        except ValueError as error:
            raise ConfigError(f"--limit {key} needs a number, such as {key}=0.2. Received: '{text}'.") from error
    return limits


@dataclass(frozen=True)
class Drift:
    """A new log beside a run.

    Attributes:
        clicks: Pairs of the new log that the run's training and validation do not have.
        seen_before: Pairs that they have.
        new_users, new_items: Shares of the log's users and items that the model does not know.
        clicks_of_new: Share of `clicks` of such users or on such items: the model cannot have recommended them.
        popularity: Jensen-Shannon divergence of the items' popularity from that of training, in bits: 0 if equal, 1 at most.
        false_positives_before, false_positives_now: Shares of disliked clicks; None without feedback.
        metrics_before: Of the model on the run's own test.
        metrics_now: Of the model on the new clicks of users and on items that it knows, of the liked ones where feedback
            tells; what training or validation has is left out of the ranking. Empty where there are none.
        users: How many users were ranked for `metrics_now`.
    """

    clicks: int
    seen_before: int
    new_users: float
    new_items: float
    clicks_of_new: float
    popularity: float
    false_positives_before: float | None
    false_positives_now: float | None
    metrics_before: dict[str, float]
    metrics_now: dict[str, float] = field(default_factory=dict)
    users: int = 0

    def limited(self, recall: str) -> dict[str, float | None]:
        """Returns what `LIMITS` names; None for what the logs do not tell.

        Args:
            recall: Which metric tells the loss, such as `recall@20`.
        """
        before, now = self.false_positives_before, self.false_positives_now
        then = self.metrics_before.get(recall)
        return {
            "new_users": self.new_users,
            "new_items": self.new_items,
            "clicks_of_new": self.clicks_of_new,
            "popularity": self.popularity,
            "false_positives": None if before is None or now is None else abs(now - before),
            "recall_loss": 1 - self.metrics_now[recall] / then if then and self.metrics_now else None,
        }

    def as_dict(self) -> dict[str, Any]:
        """Returns all of it, JSON-ready."""
        return asdict(self)


def drift(saved: SavedRun, name: str, log: InteractionData, told: Told | None = None) -> Drift:
    """Compares a new log with a run.

    Args:
        saved: The run.
        name: Which of its models ranks.
        log: The new log, as `ingest` reads it; its splits are put together again.
        told: Hears how many users are ranked.

    Raises:
        DataError: If every pair of the log is one that the run has.
    """
    from tfadt.evaluation.ranking import RankingEvaluator

    data = saved.data
    user, item, disliked = _pairs(log)
    users, items = data.users.encode(log.users.ids), data.items.encode(log.items.ids)
    codes, item_codes = users[user], items[item]
    known = (codes >= 0) & (item_codes >= 0)
    seen = np.zeros(len(user), bool)
    history = data.history("train", "valid")
    pairs = np.repeat(np.arange(data.num_users), history.counts) * data.num_items + history.items
    seen[known] = np.isin(codes[known] * data.num_items + item_codes[known], pairs)
    if seen.all():
        raise DataError(f"All {len(user):,} clicks of the log are ones that {saved.folder} has. Expected a newer log.")
    now = ~seen
    popularity = pd.concat([_counts(data.items, data.train.item), _counts(log.items, item)], axis=1).fillna(0)
    rows = now & known
    liked = rows if disliked is None else rows & ~disliked
    metrics: Mapping[str, float] = {}
    ranked = 0
    if liked.any():
        evaluator = RankingEvaluator(
            Interactions(codes[liked], item_codes[liked]),
            history,
            saved.config.evaluate.k,
            np.bincount(data.train.user, minlength=data.num_users),
            drop_empty=saved.config.evaluate.drop_empty,
            disliked=_disliked(codes, item_codes, rows, disliked),
            clicks=np.bincount(data.train.item, minlength=data.num_items),
        )
        evaluation = evaluator(saved.load_model(name), told)
        metrics, ranked = evaluation.metrics, len(evaluation.per_user)
    return Drift(
        clicks=int(now.sum()),
        seen_before=int(seen.sum()),
        new_users=float((users < 0).mean()),
        new_items=float((items < 0).mean()),
        clicks_of_new=float((now & ~known).sum() / now.sum()),
        popularity=divergence(*popularity.to_numpy(np.float64).T),
        false_positives_before=_share(data.train.false_positive),
        false_positives_now=_share(disliked),
        metrics_before=dict(saved.run(name).metrics),
        metrics_now=dict(metrics),
        users=ranked,
    )


def carried_over(data: InteractionData, earlier: InteractionData) -> str:
    """Returns in words how many users and items a training on `data` takes over from one on `earlier`."""
    counts = []
    for kind in ("users", "items"):
        ours, theirs = getattr(data, kind), getattr(earlier, kind)
        known = int(np.count_nonzero(theirs.encode(ours.ids) >= 0))
        counts.append(f"{known:,} {kind} taken over, {len(ours) - known:,} new, {len(theirs) - known:,} gone")
    return "; ".join(counts)


def exceeded(found: Drift, limits: Mapping[str, float], recall: str) -> list[str]:
    """Returns a sentence for each limit that is exceeded.

    Args:
        found: The drift.
        limits: Keys of `LIMITS` and the most that is allowed.
        recall: As in `Drift.limited`.

    Raises:
        ConfigError: If a limit is of something that the logs do not tell.
    """
    sentences = []
    values = found.limited(recall)
    for key, most in limits.items():
        value = values[key]
        if value is None:
            raise ConfigError(f"{LIMITS[key]}: not known here, since the logs do not tell. Leave its limit out.")
        if value > most:
            sentences.append(f"{LIMITS[key]}: {value:.4g}, at most {most:g} is allowed.")
    return sentences


def decide(sentences: Sequence[str], settings: DriftConfig) -> tuple[bool, str]:
    """Returns whether a model that was trained on the new log is to be pushed, and why.

    Args:
        sentences: What `exceeded` says.
        settings: Whether a push goes with drift within the limits, or with drift beyond them.
    """
    if not sentences:
        limits = "The drift is within its limits." if settings.limits.given() else "The drift has no limits."
        return settings.push == "within", limits
    return settings.push == "beyond", " ".join(sentences)


def _counts(items: Vocabulary, codes: np.ndarray) -> pd.Series:
    # As text, which is what ids are the same by.
    return pd.Series(np.bincount(codes, minlength=len(items)), index=items.ids.astype(str))


def _pairs(log: InteractionData) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Returns users, items and what is disliked of all splits together; what a clean test left out is disliked."""
    parts = [log.train, log.valid, log.test]
    flags = [each.false_positive for each in parts]
    if log.test_disliked is not None:
        parts.append(log.test_disliked)
        flags.append(np.ones(len(log.test_disliked), bool))
    disliked = None
    if log.train.false_positive is not None:
        disliked = np.concatenate([np.zeros(len(p), bool) if f is None else f for p, f in zip(parts, flags, strict=True)])
    return np.concatenate([p.user for p in parts]), np.concatenate([p.item for p in parts]), disliked


def _disliked(codes: np.ndarray, items: np.ndarray, rows: np.ndarray, disliked: np.ndarray | None) -> Interactions | None:
    if disliked is None or not (rows & disliked).any():
        return None
    return Interactions(codes[rows & disliked], items[rows & disliked])


def _share(flags: np.ndarray | None) -> float | None:
    return None if flags is None else float(flags.mean())
