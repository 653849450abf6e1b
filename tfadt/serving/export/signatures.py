"""The functions of an export: a `tf.Module` that answers ids with ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import CSR, InteractionData
from tfadt.evaluation.ranking import Scorer
from tfadt.inference.colliding import CollidingScorer
from tfadt.models.recommender import Recommender
from tfadt.sampling.ragged import expand
from tfadt.serving.contract import SIGNATURES
from tfadt.serving.export.ids import IdTable, IntegerIdTable
from tfadt.serving.export.noise import NoiseScale

_BLOCK_FLOATS = 1 << 24  # 64 MB of scores at a time, whatever the batch

NOTHING = float(np.finfo(np.float32).min)
"""The score beside an empty item id. Not -inf, which JSON does not have."""


class ServedModel(tf.Module):
    """A trained model with everything that it needs to answer requests.

    A user whom training did not know gets the most popular items and `known_user` false. Every ranking has K places; those
    without an item hold the empty string, or -1 among integers, and the lowest float.

    Args:
        model: The trained model.
        data: The data set that it was trained on: ids and popularity.
        k: K.
        seen: Items that are left out of each user's ranking; None for none.
        noise: What `denoise` measures with.
        colliding: What `recommend_colliding` ranks with; None for no such signature.
    """

    def __init__(
        self,
        model: Recommender,
        data: InteractionData,
        k: int,
        seen: CSR | None,
        noise: NoiseScale,
        colliding: CollidingScorer | None = None,
    ):
        super().__init__(name="tfadt")
        self._data = data
        self._model = _Untracked(model)
        self._colliding = _Untracked(colliding)
        self._k = k
        self._users = IdTable(data.users.ids, "user_id")
        self._items = IdTable(data.items.ids, "item_id")
        self._integers: list[IntegerIdTable] = []
        self._popularity = _table(np.bincount(data.train.item, minlength=data.num_items), tf.float32)
        self._seen_offsets = None if seen is None else _table(seen.offsets, tf.int64)
        self._seen_items = None if seen is None else _table(seen.items, tf.int64)
        self._steps = _table(noise.steps, tf.float32)
        self._probabilities = None if noise.probabilities is None else _table(noise.probabilities, tf.float32)
        self._weights: list[tf.Variable] = []

    def trace(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns the concrete function of each signature, and takes the variables that they read along into the export."""
        functions = {}
        for name in names:
            inputs = SIGNATURES[name].inputs
            specs = [
                tf.TensorSpec([None] if port.columns is None else [None, None], port.dtype, name=key)
                for key, port in inputs.items()
            ]
            function = tf.function(getattr(self, name), input_signature=specs, autograph=False)
            functions[name] = function.get_concrete_function()
        # Exactly what is read: a model's optimizer and whatever else it carries stay behind. Sorted: a graph keeps none.
        read = {variable.ref() for function in functions.values() for variable in function.graph.variables}
        others = read - {variable.ref() for variable in self.variables}
        self._weights = sorted((reference.deref() for reference in others), key=lambda weight: (weight.name, *weight.shape))
        return functions

    # --- the signatures

    def recommend(self, user_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ranks for the users string `[B]`."""
        codes, known = self._find_users(user_id)
        return {**self._rank_users(self._model.value, codes, known), "known_user": known}

    def recommend_integer(self, user_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ranks for the users int64 `[B]`, by integers alone."""
        users, items = self._integer_tables()
        codes = users.find(tf.ensure_shape(user_id, [None], name="user_id"))
        return {**self._rank_users(self._model.value, codes, codes >= 0, items=items), "known_user": codes >= 0}

    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ranks as `recommend` for the `user_id` of each serialized `tf.train.Example`, string `[B]`."""
        feature = tf.io.FixedLenFeature([], tf.string, default_value="")
        user_id = tf.io.parse_example(tf.ensure_shape(inputs, [None], name="inputs"), {"user_id": feature})["user_id"]
        found = self.recommend(user_id)
        return {"classes": found["item_ids"], "scores": found["scores"]}

    def recommend_colliding(self, user_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ranks with colliding inference; users whose ratio is not below the threshold have no neighbours and pass."""
        codes, known = self._find_users(user_id)
        scorer = self._colliding.value
        neighbors = tf.where(known[:, None], tf.gather(scorer.neighbors, _valid(codes)), -1)
        ranking = self._rank_users(scorer, codes, known)
        return {**ranking, "known_user": known, "neighbor_ids": self._users.names(neighbors)}

    def recommend_excluding(self, user_id: tf.Tensor, exclude_item_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ranks without the items string `[B, X]` either, padded with the empty string."""
        codes, known = self._find_users(user_id)
        exclude_item_ids = tf.ensure_shape(exclude_item_ids, [None, None], name="exclude_item_ids")
        with _same_batch(user_id, exclude_item_ids, "user_id and exclude_item_ids"):
            excluded = self._items.find(exclude_item_ids)
            return {**self._rank_users(self._model.value, codes, known, excluded), "known_user": known}

    def recommend_from_history(self, item_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ranks for users known by their items alone, string `[B, H]`, padded with the empty string."""
        item_ids = tf.ensure_shape(item_ids, [None, None], name="item_ids")
        items = _distinct(self._items.find(item_ids))
        known = tf.reduce_any(items >= 0, axis=1)

        def block(items: tf.Tensor, known: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            scores = self._or_popular(self._model.value.score_histories(items), known)
            return self._best(scores if self._seen_items is None else _without(scores, *_cells(items)))

        return {**self._in_blocks(block, [items, known], self._items), "known_history": known}

    def score(self, user_id: tf.Tensor, item_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores the pairs string `[B]`: what `recommend` ranks by, the popularity for an unknown user."""
        users, known_user, items, known_item = self._find_pairs(user_id, item_id)
        with _same_batch(user_id, item_id, "user_id and item_id"):
            logits = self._model.value.score_pairs(_valid(users), _valid(items))
            scores = tf.where(known_user, logits, tf.gather(self._popularity, _valid(items)))
        return {"score": tf.where(known_item, scores, NOTHING), "known_user": known_user, "known_item": known_item}

    def denoise(self, user_id: tf.Tensor, item_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """Places the pairs string `[B]` among the training positives; a pair that is not known gets the mean place."""
        users, known_user, items, known_item = self._find_pairs(user_id, item_id)
        known = known_user & known_item
        with _same_batch(user_id, item_id, "user_id and item_id"):
            logits = self._model.value.score_pairs(_valid(users), _valid(items))
            share = self._place(-logits)
        answer = {"noise_share": tf.where(known, share, 0.5), "known_user": known_user, "known_item": known_item}
        if self._probabilities is not None:
            bins = self._probabilities.shape[0]
            probability = _interpolate(self._probabilities, share * bins - 0.5)  # each stands for the middle of its bin
            mean = tf.reduce_mean(self._probabilities)
            answer["false_positive_probability"] = tf.where(known, probability, mean)
        return answer

    # --- how they are made

    def _integer_tables(self) -> list[IntegerIdTable]:
        """Returns the tables of users and items, made when they are first asked for: no other signature reads them."""
        if not self._integers:
            with tf.init_scope():  # Out of the function that is being traced.
                vocabularies = ((self._data.users, "user_id"), (self._data.items, "item_id"))
                self._integers = [IntegerIdTable(vocabulary.ids, name) for vocabulary, name in vocabularies]
        return self._integers

    def _find_users(self, user_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        codes = self._users.find(tf.ensure_shape(user_id, [None], name="user_id"))
        return codes, codes >= 0

    def _find_pairs(self, user_id: tf.Tensor, item_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        users, known_user = self._find_users(user_id)
        items = self._items.find(tf.ensure_shape(item_id, [None], name="item_id"))
        return users, known_user, items, items >= 0

    def _rank_users(
        self,
        scorer: Scorer,
        codes: tf.Tensor,
        known: tf.Tensor,
        excluded: tf.Tensor | None = None,
        items: IdTable | IntegerIdTable | None = None,
    ) -> dict[str, tf.Tensor]:
        def block(codes: tf.Tensor, known: tf.Tensor, *excluded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            scores = self._or_popular(scorer.score_users(_valid(codes)), known)
            cells = [_cells(items) for items in excluded]
            if self._seen_items is not None:
                starts = tf.gather(self._seen_offsets, _valid(codes))
                counts = tf.gather(self._seen_offsets, _valid(codes) + 1) - starts
                row, position = expand(starts, tf.where(known, counts, 0))
                cells.append((row, tf.gather(self._seen_items, position)))
            for row, item in cells:
                scores = _without(scores, row, item)
            return self._best(scores)

        columns = [codes, known] if excluded is None else [codes, known, excluded]
        return self._in_blocks(block, columns, items or self._items)

    def _place(self, value: tf.Tensor) -> tf.Tensor:
        """Returns the share of the training positives with a smaller loss, interpolated: rounding must not make it jump."""
        above = tf.clip_by_value(tf.searchsorted(self._steps, value, side="left"), 1, self._steps.shape[0] - 1)
        low, high = tf.gather(self._steps, above - 1), tf.gather(self._steps, above)
        within = tf.clip_by_value(tf.math.divide_no_nan(value - low, high - low), 0.0, 1.0)
        return (tf.cast(above, tf.float32) - 1.0 + within) / float(self._steps.shape[0])

    def _or_popular(self, scores: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        return tf.where(known[:, None], scores, self._popularity)

    def _best(self, scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns codes int64 and scores of the K best, padded with -1 and `NOTHING`."""
        best, codes = tf.math.top_k(scores, min(self._k, self._items.size))
        left_out = tf.equal(best, -np.inf)
        codes = tf.where(left_out, tf.constant(-1, tf.int64), tf.cast(codes, tf.int64))
        return self._padded(codes, tf.constant(-1, tf.int64)), self._padded(tf.where(left_out, NOTHING, best), NOTHING)

    def _padded(self, columns: tf.Tensor, value: Any) -> tf.Tensor:
        """Returns `[B, K]`, the last columns filled. By hand: `tf.pad` with a value has no kernel for int64 on a GPU."""
        missing = self._k - columns.shape[1]
        return tf.concat([columns, tf.fill([tf.shape(columns)[0], missing], value)], axis=1) if missing else columns

    def _in_blocks(
        self,
        rank: Callable[..., tuple[tf.Tensor, tf.Tensor]],
        columns: Sequence[tf.Tensor],
        ids: IdTable | IntegerIdTable,
    ) -> dict[str, tf.Tensor]:
        """Ranks some rows at a time, so that a large batch needs no more memory than a small one."""
        block = max(1, _BLOCK_FLOATS // self._items.size)
        rows = tf.shape(columns[0])[0]
        blocks = (rows + block - 1) // block
        found = [tf.TensorArray(d, blocks, infer_shape=False, element_shape=[None, self._k]) for d in (tf.int64, tf.float32)]

        def body(n: tf.Tensor, codes: tf.TensorArray, scores: tf.TensorArray) -> tuple[Any, ...]:
            part = rank(*(column[n * block : (n + 1) * block] for column in columns))
            return n + 1, codes.write(n, part[0]), scores.write(n, part[1])

        _, codes, scores = tf.while_loop(lambda n, *_: n < blocks, body, [0, *found], parallel_iterations=1)
        return {"item_ids": ids.names(codes.concat()), "scores": scores.concat()}


class _Untracked:
    """Keeps a Keras model out of `tf.Module`'s sight: the export holds variables, not the object that made them."""

    def __init__(self, value: Any):
        self.value = value


def _table(values: np.ndarray, dtype: tf.DType) -> tf.Variable:
    return tf.Variable(values, trainable=False, dtype=dtype)


def _valid(codes: tf.Tensor) -> tf.Tensor:
    """Returns codes that can be looked up; what is found for an unknown id is not used."""
    return tf.maximum(codes, 0)


def _interpolate(table: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Returns the value of a vector at float positions, linear between two entries, constant before and after."""
    last = table.shape[0] - 1
    position = tf.clip_by_value(position, 0.0, float(last))
    low = tf.cast(tf.floor(position), tf.int64)
    values, above = tf.gather(table, low), tf.gather(table, tf.minimum(low + 1, last))
    return values + (position - tf.cast(low, tf.float32)) * (above - values)


def _cells(items: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns row and item of each code int64 `[B, X]` that is not -1."""
    cells = tf.where(items >= 0)
    return cells[:, 0], tf.gather_nd(items, cells)


def _without(scores: tf.Tensor, row: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
    return tf.tensor_scatter_nd_update(scores, tf.stack([row, item], axis=1), tf.fill(tf.shape(row), -np.inf))


def _distinct(items: tf.Tensor) -> tf.Tensor:
    """Returns the codes int64 `[B, H]`, each row sorted, with -1 in place of repeats."""
    ordered = tf.sort(items, axis=1, direction="DESCENDING")
    repeated = tf.equal(ordered[:, 1:], ordered[:, :-1])
    return tf.concat([ordered[:, :1], tf.where(repeated, tf.constant(-1, tf.int64), ordered[:, 1:])], axis=1)


def _same_batch(first: tf.Tensor, second: tf.Tensor, names: str) -> Any:
    check = tf.debugging.assert_equal(
        tf.shape(first)[0], tf.shape(second)[0], message=f"{names} must have the same batch size"
    )
    return tf.control_dependencies([check])
