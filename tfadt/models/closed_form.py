"""The base of models that are solved for, in closed form or by alternating solves, instead of trained step by step."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import scipy.sparse as sp

from tfadt.data.interactions import InteractionData, Interactions
from tfadt.denoising.standard import Standard
from tfadt.errors import ConfigError, DataError
from tfadt.models.arguments import at_least_one
from tfadt.models.recommender import Recommender

SCORE = "selection_score"
"""The score of a candidate among what `fit_interactions` returns."""


class ClosedForm(Recommender):
    """A recommender whose weights are the solution of a least-squares problem over all interactions.

    There are no steps, so there is no optimizer, no loss of a row and no policy that acts on one. What a policy knows before
    training (`DenoisingPolicy.interaction_weights`) goes in as the weight of each interaction.

    A subclass names in `grid` the constructor's arguments that are chosen on validation where they are None, and implements
    `solve` beside what every recommender implements.
    """

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {}
    """Constructor arguments and the values that are tried for those left at None."""
    seeded: ClassVar[bool] = False
    """Whether another seed gives another model."""

    def __init__(self, num_users: int, num_items: int, **kwargs: Any):
        super().__init__(num_users, num_items, **kwargs)
        self.policy = Standard()
        self.optimizer = None  # Keras's callbacks look for one
        self._settings = self.add_state("settings", (len(self.grid),), dtype="float64")

    # --- what a model implements

    @abstractmethod
    def solve(self, weights: sp.csr_matrix, **settings: float) -> None:
        """Solves for the model's weights.

        Args:
            weights: float32 `[num_users, num_items]`, the weight of each interaction, above 0.
            **settings: A value for each name in `grid`.
        """

    # --- fitting

    @property
    def settings(self) -> dict[str, float]:
        """The settings that the present weights were solved with; zeros before `fit`."""
        return dict(zip(self.grid, map(float, self._settings.numpy()), strict=True))

    @property
    def used_settings(self) -> dict[str, float]:
        """What was solved with in place of the constructor's arguments that are None: validation or the data chose it."""
        return self.settings

    def candidates(self) -> list[dict[str, float]]:
        """Returns the settings to choose from: one, where the constructor fixed them all."""
        tried = []
        for name, values in self.grid.items():
            fixed = getattr(self, name)
            tried.append(values if fixed is None else (fixed,))
        return [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*tried)]

    def fit_interactions(
        self, rows: Interactions, weight: np.ndarray | None = None, score: Callable[[], float] | None = None
    ) -> list[dict[str, float]]:
        """Solves with each candidate's settings and keeps the best.

        Args:
            rows: The interactions.
            weight: float `[n]`, at least 0: what each counts; a weight of 0 leaves it out. Default 1 each.
            score: Measures the model, larger is better; None where there is nothing to measure on.

        Returns:
            The settings of each candidate and, where it was measured, its `selection_score`.

        Raises:
            ConfigError: If the weights are not of such a kind.
            DataError: If there is no interaction, or several candidates and nothing to choose by.
            OutOfMemoryError: If the solution does not fit into memory.
        """
        matrix = self._matrix(rows, weight)
        candidates = self.candidates()
        if len(candidates) > 1 and score is None:
            raise DataError(
                f"{type(self).__name__} chooses {' and '.join(self.grid)} on validation. Received: no validation "
                "interactions (give a value for each)."
            )
        found: list[dict[str, float]] = []
        best: tuple[float, list[np.ndarray]] | None = None
        for settings in candidates:
            self.solve(matrix, **settings)
            self._settings.assign(list(settings.values()))
            if score is None:
                return [settings]
            found.append({**settings, SCORE: score()})
            if len(candidates) > 1 and (best is None or found[-1][SCORE] > best[0]):
                best = found[-1][SCORE], [variable.numpy() for variable in self._solution]
        if best is not None:
            for variable, value in zip(self._solution, best[1], strict=True):
                variable.assign(value)
        return found

    def fit(
        self, x: Any = None, y: Any = None, *, weight: np.ndarray | None = None, k: int = 20, **kwargs: Any
    ) -> keras.callbacks.History:
        """Solves for the model on the training split of a data set, its settings chosen by recall@k on validation.

        What is known of the clicks says how much each validation interaction counts (`adt.selection = "auto"`).

        Args:
            x: The data set.
            y: None.
            weight: float `[n]`, at least 0: what each training interaction counts; default 1.
            k: Cut-off of the recall.
            **kwargs: None: there are no steps, epochs or batches.

        Returns:
            Keras's history, an entry a candidate: its settings and `val_recall@k`.

        Raises:
            ConfigError: If an argument does not apply.
            DataError, OutOfMemoryError: As in `fit_interactions`.
        """
        if not isinstance(x, InteractionData) or y is not None:
            raise ConfigError(f"{type(self).__name__} is solved for a data set: fit(data). Received: {type(x).__name__}.")
        if kwargs:
            raise ConfigError(
                f"{type(self).__name__} has no steps: fit(data) takes weight and k. Received: {', '.join(kwargs)}."
            )
        at_least_one(k=k)
        self.check_data(x)
        evaluator = self._validation(x, k) if len(x.valid) else None
        score = None if evaluator is None else lambda: evaluator.recall(self)
        found = self.fit_interactions(x.train, weight, score)
        history = keras.callbacks.History()
        history.set_model(self)
        history.epoch = list(range(len(found)))
        names = {name: f"val_recall@{k}" if name == SCORE else name for name in found[0]}
        history.history = {shown: [each[name] for each in found] for name, shown in names.items()}
        return history

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Refuses: there is nothing to compile.

        Raises:
            ConfigError: Always, with what to do.
        """
        del args, kwargs
        raise ConfigError(f"{type(self).__name__} has no optimizer, objective or policy: call fit(data) at once.")

    def get_compile_config(self) -> None:  # type: ignore[override]
        """Returns None: a file of the model says nothing of how it was trained."""

    @property
    def pairwise(self) -> bool:
        """False: no objective has pairs here."""
        return False

    @property
    def listwise(self) -> bool:
        """False: nor does one set a positive against many items."""
        return False

    # --- weights and configuration

    def add_state(
        self, name: str, shape: tuple[int, ...], initializer: Any = "zeros", dtype: str = "float32"
    ) -> keras.Variable:
        """Makes a weight that is solved for: no optimizer ever moves it."""
        return self.add_weight(name=name, shape=shape, dtype=dtype, initializer=initializer, trainable=False, autocast=False)

    @property
    def _solution(self) -> list[keras.Variable]:
        history = (self.history_offsets, self.history_items)
        return [variable for variable in self.weights if not any(variable is each for each in history)]

    def _matrix(self, rows: Interactions, weight: np.ndarray | None) -> sp.csr_matrix:
        values = np.ones(len(rows), np.float32) if weight is None else np.asarray(weight, np.float32)
        if values.shape != (len(rows),) or not (np.isfinite(values) & (values >= 0)).all():
            raise ConfigError(
                f"weight must be {len(rows)} finite numbers of at least 0, one an interaction. Received: shape "
                f"{values.shape}, values {values.min(initial=np.inf):g} .. {values.max(initial=-np.inf):g}."
            )
        matrix = sp.csr_matrix((values, (rows.user, rows.item)), shape=(self.num_users, self.num_items))
        matrix.eliminate_zeros()
        matrix.sort_indices()
        if matrix.nnz == 0:
            raise DataError(f"{type(self).__name__} needs interactions of a weight above 0. Received: none.")
        return matrix

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.grid}}
