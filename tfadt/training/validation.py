"""Losses on the validation split, measured with the same one-to-one sampling as in training."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import Interactions
from tfadt.models.recommender import Recommender
from tfadt.sampling.negatives import NegativeSampler
from tfadt.sampling.shared import SharedSampler

_TRIMMED_SHARE = 0.2


class ValidationLoss:
    """Measures a model's loss over the (noisy) validation interactions and as many sampled negatives.

    Args:
        model: The compiled model.
        rows: The validation interactions.
        sampler: Draws the negatives, as in training: of each row outside the training items, or shared ones.
        batch_size: Rows a batch; truncation acts within a batch.
        fixed_negatives: Use the same negatives at every training iteration instead of fresh ones.
    """

    def __init__(
        self,
        model: Recommender,
        rows: Interactions,
        sampler: NegativeSampler | SharedSampler,
        batch_size: int = 1024,
        fixed_negatives: bool = False,
    ):
        self._source = model.batch_source(rows, sampler, batch_size, validation=True)
        self._model = model
        self._fixed = fixed_negatives

        @tf.function(input_signature=[tf.TensorSpec([], tf.int64)], autograph=False)
        def losses(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            batch = self._source.batch(self._source.draw(step[None]), tf.zeros([], tf.int64))
            value, loss, _ = model.batch_loss(batch)
            return value, loss, batch.labels

        self._function = losses

    @cached_property
    def _losses(self) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        # Traced at the first call: only then does the policy know how long the run is.
        concrete: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]] = self._function.get_concrete_function()
        return concrete

    def policy_loss(self) -> float:
        """Returns the mean over batches of the policy's own loss at the current drop rate (the authors' criterion)."""
        return float(np.mean([value.numpy() for value, _, _ in self._batches()]))

    def trimmed_loss(self) -> float:
        """Returns the mean plain loss with the 20 % largest losses among positives left out."""
        measured = [(loss.numpy(), labels.numpy()) for _, loss, labels in self._batches()]
        loss = np.concatenate([m[0] for m in measured])
        positive = np.concatenate([m[1] for m in measured]) > 0.5
        kept = np.sort(loss[positive])[: int(np.ceil((1 - _TRIMMED_SHARE) * positive.sum()))]
        return float(np.mean(np.concatenate([kept, loss[~positive]])))

    def _batches(self) -> list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        # The training iteration in place of a count of calls: a resumed run then draws what it would have drawn.
        epoch = 0 if self._fixed else int(self._model.iteration)
        first = epoch * self._source.steps_per_epoch
        return [self._losses(tf.constant(first + k, tf.int64)) for k in range(self._source.steps_per_epoch)]
