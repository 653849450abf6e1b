"""The noise model: how likely a click is a false positive, learned from the clicks whose feedback is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.sparse.linalg import svds
from scipy.special import expit, log_expit

from tfadt.data.interactions import Interactions
from tfadt.denoising.calibration import Calibration
from tfadt.errors import DataError

MIN_KNOWN = 50
"""Known clicks below which nothing is learned."""
FOLDS = 5
"""Parts that the known clicks are held out in, one after another; as many clicks of each sign are needed."""
_INVERSE_PENALTY = 0.5
_TASTE_DIMS = (0, 4, 16)
_SEED = 0


@dataclass(frozen=True)
class NoiseModel:
    """`logit p(u, i) = bias + user_bias[u] + item_bias[i] + taste_weight * taste(u, i)`: p that a click is disliked.

    A logistic regression on the one-hot user and item (L2 penalty, C = .5), fitted to the clicks whose feedback is known.
    `taste(u, i)` is how well item i goes with the user's other clicks: the user's row of the click matrix projected onto its
    first d right singular vectors (PureSVD; Cremonesi et al., RecSys'10), the click itself left out. Of d = 0, 4 and 16 the
    one is kept whose AUC on known clicks that are held out is best; with 0 taste takes no part.

    Attributes:
        bias: Intercept.
        user_bias: float64 `[num_users]`, 0 for a user without known clicks.
        item_bias: float64 `[num_items]`.
        user_taste: float64 `[num_users, d]`, the sum of the vectors of the user's clicks.
        item_taste: float64 `[num_items, d]`.
        taste_weight: 0 where taste takes no part.
        clicked: The clicks that `user_taste` is made of, as sorted keys `user * num_items + item`.
        known: Number of known clicks, `(liked, disliked)`.
        calibration: How good p is on known clicks that were held out.
    """

    bias: float
    user_bias: np.ndarray
    item_bias: np.ndarray
    user_taste: np.ndarray
    item_taste: np.ndarray
    taste_weight: float
    clicked: np.ndarray
    known: tuple[int, int]
    calibration: Calibration

    @classmethod
    def fit(cls, clicks: Interactions, num_users: int, num_items: int, with_taste: bool = True) -> NoiseModel:
        """Learns from the training clicks, of which some are known to be liked or disliked.

        Args:
            clicks: The training clicks, with `known_positive` and `known_negative`.
            num_users: Number of users.
            num_items: Number of items.
            with_taste: Whether taste may take part.

        Raises:
            DataError: If fewer than 50 clicks are known, fewer than 5 of one sign, some of both signs at once, or codes are
                out of range.
        """
        known, disliked = _known(clicks, num_users, num_items)
        user, item = clicks.user[known], clicks.item[known]
        user_taste, item_taste = _tastes(clicks, num_users, num_items)
        dims = [dim for dim in _TASTE_DIMS if dim <= item_taste.shape[1] * with_taste]
        terms = (user_taste[user] - item_taste[item]) * item_taste[item]
        tastes = [terms[:, :dim].sum(axis=1) for dim in dims]
        scales = [taste.std() or 1.0 for taste in tastes]
        features = [taste / scale for taste, scale in zip(tastes, scales, strict=True)]
        sizes = num_users, num_items
        calibrations = [Calibration.of(disliked, _held_out(user, item, each, disliked, sizes)) for each in features]
        best = int(np.argmax([calibration.auc for calibration in calibrations]))
        weights = _regression(user, item, features[best], disliked, sizes)
        return cls(
            bias=weights[0],
            user_bias=weights[1 : 1 + num_users],
            item_bias=weights[1 + num_users : -1],
            user_taste=user_taste[:, : dims[best]],
            item_taste=item_taste[:, : dims[best]],
            taste_weight=weights[-1] / scales[best],
            clicked=np.sort(clicks.user * num_items + clicks.item),
            known=(int(np.sum(~disliked)), int(np.sum(disliked))),
            calibration=calibrations[best],
        )

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Returns p of pairs of codes, clicks or not, float64 `[n]`.

        Raises:
            DataError: If a code is out of range.
        """
        _check_codes(users, items, len(self.user_bias), len(self.item_bias))
        logits = self.bias + self.user_bias[users] + self.item_bias[items]
        if self.item_taste.shape[1]:
            keys = users * len(self.item_bias) + items
            place = np.searchsorted(self.clicked, keys) % max(len(self.clicked), 1)
            own = (self.clicked[place] == keys)[:, None] * self.item_taste[items]
            logits += self.taste_weight * np.einsum("nd,nd->n", self.user_taste[users] - own, self.item_taste[items])
        probabilities: np.ndarray = expit(logits)
        return probabilities

    def probabilities(self, rows: Interactions) -> np.ndarray:
        """Returns p of interactions, float64 `[n]`: 0 and 1 where the feedback is known."""
        return _as_known(self.predict(rows.user, rows.item), rows)


def is_learnable(clicks: Interactions) -> bool:
    """Returns whether enough of the clicks is known, liked and disliked, to learn how likely another one is disliked."""
    counts = [0 if flags is None else int(flags.sum()) for flags in (clicks.known_positive, clicks.known_negative)]
    return sum(counts) >= MIN_KNOWN and min(counts) >= FOLDS


@dataclass(frozen=True)
class NoiseBiases:
    """p of a noise model of user and item biases alone: what `NoiseModel` without taste says, at a sixth of its time.

    For what judges models: by taste it would praise a model for ranking by taste, as any does.

    Attributes:
        bias, user_bias, item_bias: As in `NoiseModel`.
    """

    bias: float
    user_bias: np.ndarray
    item_bias: np.ndarray

    @classmethod
    def fit(cls, clicks: Interactions, num_users: int, num_items: int) -> NoiseBiases:
        """Learns from the training clicks as `NoiseModel.fit` does, with nothing held out.

        Raises:
            DataError: As there.
        """
        known, disliked = _known(clicks, num_users, num_items)
        no_taste = np.zeros(len(known))
        weights = _regression(clicks.user[known], clicks.item[known], no_taste, disliked, (num_users, num_items))
        return cls(weights[0], weights[1 : 1 + num_users], weights[1 + num_users : -1])

    def probabilities(self, rows: Interactions) -> np.ndarray:
        """Returns p of interactions, float64 `[n]`: 0 and 1 where the feedback is known."""
        return _as_known(expit(self.bias + self.user_bias[rows.user] + self.item_bias[rows.item]), rows)


def _as_known(probabilities: np.ndarray, rows: Interactions) -> np.ndarray:
    for flags, value in ((rows.known_positive, 0.0), (rows.known_negative, 1.0)):
        if flags is not None:
            probabilities[flags] = value
    return probabilities


def _known(clicks: Interactions, num_users: int, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns which clicks are known, indices `[k]`, and whether they are disliked, bool `[k]`."""
    none = np.zeros(len(clicks), bool)
    liked, disliked = (none if each is None else each for each in (clicks.known_positive, clicks.known_negative))
    counts = f"{np.sum(liked):,} known to be liked and {np.sum(disliked):,} known to be disliked"
    more = "(see ingest.extra_feedback: share, zero_means, file)"
    if both := int(np.sum(liked & disliked)):
        raise DataError(f"A click is liked or disliked. Received: {both:,} clicks that are known to be both.")
    if np.sum(liked | disliked) < MIN_KNOWN:
        raise DataError(f"The noise model learns from at least {MIN_KNOWN} known clicks. Received: {counts} {more}.")
    if min(np.sum(liked), np.sum(disliked)) < FOLDS:
        raise DataError(
            f"The noise model tells disliked from liked clicks: it needs {FOLDS} of each. Received: {counts} {more}."
        )
    known = np.flatnonzero(liked | disliked)
    _check_codes(clicks.user[known], clicks.item[known], num_users, num_items)
    return known, disliked[known]


def _check_codes(users: np.ndarray, items: np.ndarray, num_users: int, num_items: int) -> None:
    for name, codes, size in (("user", users, num_users), ("item", items, num_items)):
        if outside := int(np.sum((codes < 0) | (codes >= size))):
            raise DataError(
                f"The noise model knows the {name} codes 0 .. {size - 1}. Received: {outside:,} of {len(codes):,} pairs "
                f"with another one, such as {codes[(codes < 0) | (codes >= size)][0]}."
            )


def _tastes(clicks: Interactions, num_users: int, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the projections of the users' clicks, and the right singular vectors of the click matrix as rows."""
    dim = min(_TASTE_DIMS[-1], num_users - 1, num_items - 1)
    matrix = sp.csr_matrix((np.ones(len(clicks)), (clicks.user, clicks.item)), shape=(num_users, num_items))
    if dim < 1:
        return np.zeros((num_users, 0)), np.zeros((num_items, 0))
    # A start of our own: the solver's is random.
    vectors: np.ndarray = svds(matrix, k=dim, v0=np.ones(min(matrix.shape)))[2][::-1].T
    projections: np.ndarray = matrix @ vectors
    return projections, vectors


def _held_out(
    user: np.ndarray, item: np.ndarray, taste: np.ndarray, disliked: np.ndarray, sizes: tuple[int, int]
) -> np.ndarray:
    """Returns p of each known click by a model that did not see it, float64 `[k]`; all folds hold both signs."""
    order = np.random.default_rng(_SEED).permutation(len(disliked))
    order = order[np.argsort(disliked[order], kind="stable")]
    fold = np.empty(len(order), np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    found = np.empty(len(order))
    for number in range(FOLDS):
        seen, held = fold != number, fold == number
        weights = _regression(user[seen], item[seen], taste[seen], disliked[seen], sizes)
        logits = weights[0] + weights[1:][user[held]] + weights[1 + sizes[0] :][item[held]] + weights[-1] * taste[held]
        found[held] = expit(logits)
    return found


def _regression(
    user: np.ndarray, item: np.ndarray, taste: np.ndarray, disliked: np.ndarray, sizes: tuple[int, int]
) -> np.ndarray:
    """Minimises `C * sum of log losses + |weights|^2 / 2`, the intercept free.

    Returns:
        float64 `[1 + num_users + num_items + 1]`: intercept, user biases, item biases, the weight of taste.
    """
    num_users, num_items = sizes
    split = 1 + num_users

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = weights[0] + weights[1:][user] + weights[split:][item] + weights[-1] * taste
        penalised = np.concatenate([[0.0], weights[1:]])
        loss = -_INVERSE_PENALTY * np.sum(log_expit(np.where(disliked, logits, -logits))) + penalised @ penalised / 2
        slope = _INVERSE_PENALTY * (expit(logits) - disliked)
        of_users, of_items = np.bincount(user, slope, num_users), np.bincount(item, slope, num_items)
        gradient = np.concatenate([[slope.sum()], of_users, of_items, [slope @ taste]]) + penalised
        return loss, gradient

    start = np.zeros(split + num_items + 1)
    start[0] = np.log(np.mean(disliked) / np.mean(~disliked))
    found: np.ndarray = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-6}).x
    return found
