"""The interface of a denoising policy: what a row of a batch weighs in the loss, and what the sum is divided by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.search_space import SearchSpace


class Rows(NamedTuple):
    """The rows of a batch, as a policy sees them; nothing carries a gradient.

    Attributes:
        users: int64 `[B]` user codes.
        items: int64 `[B]` item codes.
        labels: float32 `[B]`, 1 for an observed interaction, 0 for a sampled negative; as `relabel` left them.
        loss: float32 `[B]`, the objective's loss, at least 0.
        logits: float32 `[B]`, before the sigmoid.
        known: float32 `[B]`, 1 for a click that is known to be liked; None unless the policy or the model asks.
        false_positive: float32 `[B]`, 1 for a click that feedback knows to be disliked; None without feedback. For controls
            alone: a denoiser does without.
        interactions: int64 `[B]`, which training interaction a row is, -1 for a negative; None unless the policy
            `remembers_interactions`, and on validation rows.
    """

    users: tf.Tensor
    items: tf.Tensor
    labels: tf.Tensor
    loss: tf.Tensor
    logits: tf.Tensor
    known: tf.Tensor | None = None
    false_positive: tf.Tensor | None = None
    interactions: tf.Tensor | None = None


class DenoisingPolicy(ABC):
    """Decides how much each row of a batch counts. A new policy is one subclass and one line of registration.

    The training loss of a batch is `sum(weights * loss) / divisor`; weights carry no gradient (the paper's section 3.3).
    A policy is model-free: it sees rows, so every model and every objective works with every policy. For a pairwise
    objective (BPR) a row is a pair, its logit is the margin and its label is 1.
    """

    needs_extra_feedback: ClassVar[bool] = False
    """Whether the policy asks which clicks are known to be liked."""

    needs_feedback: ClassVar[bool] = False
    """Whether the policy asks which training clicks are false positives."""
    out_of_reach: ClassVar[bool] = False
    """Whether the policy is an oracle: it shows what could be reached at best, tables mark it, and it is never chosen."""
    control: ClassVar[bool] = False
    """Whether the policy is there to be compared with alone: it tells no interaction from another, and nobody deploys it."""
    settings_of: ClassVar[str | None] = None
    """The policy whose settings in a configuration are this one's, too, unless it has its own."""

    knows_weights: bool = False
    """Whether what each interaction weighs is known before training: then the policy works with closed forms, too."""

    remembers_interactions: ClassVar[bool] = False
    """Whether the policy has to be told which training interaction a row is."""

    search_space: ClassVar[SearchSpace] = {}
    """What a search tries for the constructor's arguments."""

    @abstractmethod
    def weights(self, rows: Rows, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weight of each row and the divisor of the sum.

        Args:
            rows: The rows of the batch.
            step: int64 scalar, the training iteration T of this stage, from 0.

        Returns:
            `(weights, divisor)`: float32 `[B]`, 0 for a dropped row, and a positive float32 scalar.
        """

    def relabel(
        self, labels: tf.Tensor, known_positive: tf.Tensor | None, interactions: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the labels to train on, before the loss is computed, and a factor on each row's weight (None for 1).

        Args:
            labels: float32 `[B]`, as observed.
            known_positive: float32 `[B]`, 1 for a click that is known to be liked; None unless `needs_extra_feedback`, and
                on validation rows, of which nothing is known.
            interactions: As in `Rows`.
        """
        del known_positive, interactions
        return labels, None

    def interaction_weights(self, rows: Interactions) -> np.ndarray:
        """Returns what each interaction weighs, float32 `[n]`, where `knows_weights` says that this is known.

        Args:
            rows: The interactions of a training.
        """
        raise NotImplementedError(f"{type(self).__name__} weighs rows by what training finds.")

    def build(self, rows: Interactions, num_users: int, num_items: int) -> None:  # noqa: B027 - optional hook
        """Makes the policy's variables, anew for each training.

        Args:
            rows: The training interactions; row i is what `Rows.interactions` calls i.
            num_users: Number of users.
            num_items: Number of items.

        Raises:
            OutOfMemoryError: If what the policy keeps of each interaction does not fit.
        """

    @property
    def variables(self) -> list[tf.Variable]:
        """The policy's state. Checkpoints keep it, so that a resumed training goes on as the uncut one."""
        return []

    def observe(self, rows: Rows, weights: tf.Tensor, step: tf.Tensor) -> None:  # noqa: B027 - optional hook
        """Called in the graph for every training batch, never for validation, after its `weights`.

        Args:
            rows: The rows of the batch.
            weights: float32 `[B]`, what they weighed.
            step: int64 scalar, the training iteration.
        """

    def prepare(self, total_steps: int, positive_share: float) -> None:  # noqa: B027 - optional hook
        """Called once before training begins.

        Args:
            total_steps: Steps that the run will make.
            positive_share: Share of the rows of a batch that are positives (0.5 with one negative each; 1 for BPR).

        Raises:
            ConfigError: If the policy cannot work with such batches.
        """

    def on_epoch_begin(self, epoch: int) -> None:  # noqa: B027 - optional hook
        """Called before each epoch, outside the graph; a policy may change its own `tf.Variable`s here.

        What it sets must follow from the epoch alone: a resumed run begins in the midst of an epoch and has no more.
        """

    def on_epoch_end(self, epoch: int, model: Any) -> None:  # noqa: B027 - optional hook
        """Called after each epoch, outside the graph.

        It may be called again for the same epoch, by a run that was cut there: what it does must follow from the epoch and
        from state that it does not itself change.

        Args:
            epoch: From 0.
            model: The model, its rows in sync.
        """

    def dropped_share(self, positive_share: float, step: int) -> float:
        """Returns the share of a batch's positives that the policy drops at iteration `step` (0 if it drops none)."""
        del positive_share, step
        return 0.0

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, JSON-serialisable."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DenoisingPolicy:
        """Builds the policy from what `get_config` returned."""
        return cls(**config)


def num_rows(loss: tf.Tensor) -> tf.Tensor:
    """Returns B as a float32 scalar."""
    return tf.cast(tf.size(loss), tf.float32)
