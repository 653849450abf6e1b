"""Training on a data set: Keras's `fit` over batches that are drawn on the device, many steps a call."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import InteractionData, Interactions
from tfadt.errors import ConfigError, DataError
from tfadt.models.base import DenoisingModel
from tfadt.models.stepping import Stepper, chunk_plan
from tfadt.optimizers.deferred_adam import DeferredAdam
from tfadt.sampling.batches import BatchSource
from tfadt.sampling.negatives import NegativeSampler


class FittingModel(DenoisingModel):
    """A denoising model that draws the batches of a data set by itself; what is not a data set goes to `keras.Model.fit`."""

    needs_extra_feedback: ClassVar[bool] = False
    """Whether training needs to know which clicks are known to be liked."""

    @abstractmethod
    def batch_source(
        self, rows: Interactions, sampler: NegativeSampler, batch_size: int | None = None, num_negatives: int = 1
    ) -> BatchSource:
        """Returns the source of this model's training batches."""

    @abstractmethod
    def check_data(self, data: InteractionData) -> None:
        """Raises DataError if the model was not built for data of this size."""

    @abstractmethod
    def negative_sampler(self, data: InteractionData) -> NegativeSampler:
        """Returns the default sampler: uniform outside each user's training items."""

    def _hook(self) -> keras.callbacks.Callback:
        """Comes before all other callbacks: the policy's epochs, and rows up to date before anybody reads the end."""

        def end(logs: Any) -> None:
            if isinstance(self.optimizer, DeferredAdam):
                self.optimizer.bring_up_to_date()

        return keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: self.policy.on_epoch_begin(epoch), on_train_end=end
        )

    def training_rows(self, data: InteractionData) -> Interactions:
        """Returns the training split, with the known positives marked only if the model or its policy asks for them.

        Raises:
            DataError: If they do and there is no extra feedback.
        """
        if not (self.needs_extra_feedback or self.policy.needs_extra_feedback):
            return replace(data.train, known_positive=None)
        known = data.train.known_positive
        if known is None or not known.any():
            asking = type(self) if self.needs_extra_feedback else type(self.policy)
            raise DataError(
                f"{asking.__name__} needs extra feedback: training interactions that are known to be liked. Received: none "
                "(see ingest.extra_feedback)."
            )
        return data.train

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        num_negatives: int = 1,
        sampler: NegativeSampler | None = None,
        steps_per_call: int = 200,
        verbose: Any = 0,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains the model on the training split of a data set, negatives drawn on the device.

        Given anything but an `InteractionData`, this is `keras.Model.fit`.

        Args:
            x: The data set.
            y: Labels, when `x` is not a data set.
            batch_size: Rows a step (default 1,024), or users a step for CDAE (default 128).
            epochs: Passes over the training interactions.
            num_negatives: Negatives for each positive.
            sampler: Draws negatives; default uniform outside the user's training items.
            steps_per_call: Steps on the device between two callbacks.
            verbose: As in Keras.
            callbacks: As in Keras; a Keras "batch" is one call of up to `steps_per_call` steps.
            **kwargs: Further arguments of `keras.Model.fit`, when `x` is not a data set.

        Returns:
            Keras's history: loss, realised drop rate and, where feedback is known, the quality of the dropped set.

        Raises:
            ConfigError: If the model is not compiled or the policy cannot work with such batches.
            DataError: If there is nothing to train on, or no extra feedback where it is needed.
        """
        if not self.compiled:
            raise ConfigError("Call compile() before fit().")
        if not isinstance(x, InteractionData):
            self.optimizer.build(self.trainable_variables)
            if y is not None:
                horizon = int(self.iteration) + epochs * -(-len(y) // (batch_size or 32))
                self.policy.prepare(horizon, float(np.mean(y)))
                if isinstance(self.optimizer, DeferredAdam):
                    self.optimizer.prepare(horizon)
            self.make_train_function(force=True)
            return super().fit(x, y, batch_size, epochs, verbose, [self._hook(), *(callbacks or [])], **kwargs)
        if kwargs or y is not None:
            raise ConfigError(
                f"fit(data) takes no {', '.join(kwargs) or 'y'}: the data set has labels and splits of its own."
            )
        self.check_data(x)
        sampler = sampler or self.negative_sampler(x)
        source = self.batch_source(self.training_rows(x), sampler, batch_size, num_negatives)
        return self.fit_source(source, epochs, steps_per_call, verbose=verbose, callbacks=callbacks)

    def fit_source(
        self,
        source: BatchSource,
        epochs: int = 1,
        steps_per_call: int = 200,
        stops: Sequence[int] = (),
        done: int = 0,
        verbose: Any = 0,
        callbacks: Any = None,
        initial_epoch: int = 0,
        horizon: int | None = None,
    ) -> keras.callbacks.History:
        """Trains on the batches of a source, through `keras.Model.fit`; the run goes on from the present iteration.

        A resumed run names with `done` how many of its steps lie behind the present iteration. The epoch in which it was cut
        is then begun again with what is left of its calls (none, if it was cut at its very end), so that its logs are those
        of the whole epoch once the statistics are what they were.

        Args:
            source: Draws the batches on the device.
            epochs: Passes over the source, those before `initial_epoch` counted.
            steps_per_call: Steps on the device between two callbacks.
            stops: Callbacks also run after each multiple of each of these numbers of steps.
            done: Steps of this run that were made before.
            verbose: As in Keras.
            callbacks: As in Keras; a Keras "batch" is one call, `iteration` tells the step.
            initial_epoch: As in Keras: passes of another run, which this one goes on from.
            horizon: Steps of the whole run that the policy's schedule is settled for, where this is a part of it.

        Returns:
            Keras's history, as in `fit`.

        Raises:
            ConfigError: If the policy cannot work with such batches.
            DivergedError: If the loss of a step is not finite.
        """
        first_step = int(self.iteration) - done
        passes = epochs - initial_epoch
        horizon = horizon or first_step + source.steps_per_epoch * passes
        self.policy.prepare(horizon, source.positive_share)
        if isinstance(self.optimizer, DeferredAdam):
            self.optimizer.prepare(horizon)
        self._statistics.has_feedback = source.has_feedback
        (first, count), calls_per_epoch = chunk_plan(source.steps_per_epoch, passes, steps_per_call, stops, first_step, done)
        cut_epoch = max(done - 1, 0) // source.steps_per_epoch
        left = slice(cut_epoch * calls_per_epoch, None)
        self.optimizer.build(self.trainable_variables)
        self.train_function = Stepper(source, self._train_on, self.get_metrics_result)
        return super().fit(
            tf.data.Dataset.from_tensor_slices((first[left], count[left])),
            epochs=epochs,
            initial_epoch=initial_epoch + cut_epoch,
            steps_per_epoch=calls_per_epoch,
            shuffle=False,
            verbose=verbose,
            callbacks=[self._hook(), *(callbacks or [])],
        )
