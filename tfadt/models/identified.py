"""What a recommender offers by the ids of the log: recommendations, similar items, and a file that keeps the ids."""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import tensorflow as tf

from tfadt.data.interactions import CSR, InteractionData, Vocabulary
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.ranking import Ranking, rank
from tfadt.models.arguments import at_least_one
from tfadt.models.base import DenoisingModel
from tfadt.models.histories import Histories, HistoryScorer
from tfadt.models.recommendations import Recommendations

_IDS = "ids.json"


class IdentifiedModel(DenoisingModel):
    """A denoising model that knows which user and which item each of its codes is.

    Attributes:
        users: The ids of the users, in code order; None for a model that was not built by `from_interactions`.
        items: The ids of the items.
    """

    users: Vocabulary | None = None
    items: Vocabulary | None = None

    @classmethod
    def from_interactions(cls, data: InteractionData, **settings: Any) -> Self:
        """Builds the model for a data set: its sizes and its users' training histories.

        Args:
            data: What `ingest` returned.
            **settings: Further arguments of the constructor, such as `embedding_dim`.
        """
        history = data.history()
        model = cls(data.num_users, data.num_items, history_size=len(history.items), **settings)
        model.history_offsets.assign(history.offsets)
        model.history_items.assign(history.items)
        model.read_popularity()
        model.users, model.items = data.users, data.items
        return model

    @abstractmethod
    def rank(self, users: Any, k: int, exclude_seen: bool = True) -> Ranking:
        """Returns the k best items of each user, all in codes."""

    @abstractmethod
    def item_vectors(self) -> tf.Tensor:
        """Returns the vectors of all items, float32 `[num_items, d]`."""

    def recommend(self, users: Any, k: int = 10, exclude_seen: bool = True) -> Recommendations:
        """Returns the k best items of each user.

        Args:
            users: User ids, as they stand in the log; one or many.
            k: How many items a user; fewer where the user has seen the rest.
            exclude_seen: Leave out the items of the user's training history.

        Returns:
            A DataFrame with columns `user_id`, `rank` (from 1), `item_id` and `score` (the logit), users in the given order.

        Raises:
            ConfigError: If `k` is below 1.
            DataError: If a user id is unknown, or the model was not built by `from_interactions` and knows no ids.
        """
        vocabulary, items = self._vocabulary("users"), self._vocabulary("items")
        codes = _codes(vocabulary, users)
        return Recommendations(vocabulary.ids[codes], self.rank(codes, k, exclude_seen), items)

    def recommend_from_history(self, histories: Any, k: int = 10, exclude_seen: bool = True) -> Recommendations:
        """Returns the k best items of users whom training never saw, by the items of each.

        Args:
            histories: Item ids, as they stand in the log: those of one user, or a list of several users' lists. An item that
                a list has twice counts once. A user without items is ranked as the model ranks one of whom it knows nothing.
            k: How many items a user; fewer where the history holds the rest.
            exclude_seen: Leave out the items of the history.

        Returns:
            A DataFrame with columns `history` (the number of the list, from 0), `rank` (from 1), `item_id` and `score`.

        Raises:
            ConfigError: If `k` is below 1, or the model cannot rank for users whom training did not know.
            DataError: If an item id is unknown, or the model was not built by `from_interactions` and knows no ids.
        """
        at_least_one(k=k)
        if not isinstance(self, HistoryScorer):
            raise ConfigError(f"{type(self).__name__} cannot rank for users whom training did not know.")
        items = self._vocabulary("items")
        lists = list(histories) if all(map(_is_list, histories)) else [histories]
        codes = [_codes(items, each) for each in lists]
        owner = np.repeat(np.arange(len(lists)), list(map(len, codes)))
        known = CSR.from_pairs(owner, np.concatenate([*codes, np.empty(0, np.int64)]), len(lists), self.num_items)
        rows = np.arange(len(lists))
        ranking = rank(Histories(self, known), rows, k, known if exclude_seen else None)
        return Recommendations(rows, ranking, items, "history")

    def similar_items(self, items: Any, k: int = 10) -> pd.DataFrame:
        """Returns the k items whose vectors are nearest to those of the given items.

        Args:
            items: Item ids, as they stand in the log; one or many.
            k: How many.

        Returns:
            Columns `item_id`, `rank` (from 1), `similar_item_id` and `similarity` (the cosine), without the item itself.

        Raises:
            ConfigError: If `k` is below 1.
            DataError: If an item id is unknown, or the model knows no ids.
        """
        at_least_one(k=k)
        vocabulary = self._vocabulary("items")
        codes = _codes(vocabulary, items)
        space = tf.math.l2_normalize(self.item_vectors(), axis=1)
        similarity = tf.matmul(tf.gather(space, codes), space, transpose_b=True)
        itself = tf.stack([tf.range(len(codes), dtype=tf.int64), tf.constant(codes)], axis=1)
        similarity = tf.tensor_scatter_nd_update(similarity, itself, tf.fill([len(codes)], -np.inf))
        best, nearest = (t.numpy() for t in tf.math.top_k(similarity, min(k, self.num_items - 1)))
        count = best.shape[1]
        return pd.DataFrame(
            {
                "item_id": np.repeat(vocabulary.ids[codes], count),
                "rank": np.tile(np.arange(count) + 1, len(codes)),
                "similar_item_id": vocabulary.decode(nearest.ravel()),
                "similarity": best.ravel(),
            }
        )

    def _vocabulary(self, which: str) -> Vocabulary:
        found: Vocabulary | None = getattr(self, which)
        if found is None:
            raise DataError(
                f"The model does not know the ids of its {which}. Build it with from_interactions(data), or rank codes with "
                "rank(codes, k)."
            )
        return found

    def summary(self, line_length: int | None = None, print_fn: Any = None, **kwargs: Any) -> None:
        """Prints the weights and their sizes; Keras's own summary knows layers alone, of which the model has none.

        Args:
            line_length: Width of the name column and the rest; default 72.
            print_fn: Prints a line; default `print`.
            **kwargs: None of Keras's others matter here.
        """
        del kwargs
        tell, width = print_fn or print, (line_length or 72) - 34
        tell(f"{type(self).__name__} of {self.num_users:,} users and {self.num_items:,} items")
        for variable in self.weights:
            size = int(np.prod(variable.shape))
            kind = "" if variable.trainable else "  not trained"
            tell(f"  {variable.name:<{width}}{tuple(variable.shape)!s:>18}{size:>14,}{kind}")
        tell(f"Parameters: {self.count_params():,}")

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the model to a `.keras` file, as in Keras.

        Raises:
            ConfigError: If the name ends otherwise: the older HDF5 format cannot hold the model.
        """
        if Path(filepath).suffix != ".keras":
            raise ConfigError(f"A model is saved to a file that ends in .keras. Received: {filepath}.")
        super().save(filepath, *args, **kwargs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Refuses: what serves recommendations has signatures of its own.

        Raises:
            ConfigError: Always, with what to do.
        """
        del filepath, args, kwargs
        raise ConfigError(
            "Keras's export would serve the logits of pairs. Train with tfadt run, then: tfadt export RUN --out FOLDER, "
            "whose signatures take user ids and give items."
        )

    def save_assets(self, folder: Any) -> None:
        """Keeps the ids in the model's file; Keras calls this."""
        if self.users is not None and self.items is not None:
            ids = {"users": self.users.ids.tolist(), "items": self.items.ids.tolist()}
            (Path(folder) / _IDS).write_text(json.dumps(ids))

    def load_assets(self, folder: Any) -> None:
        """Reads the ids; Keras calls this."""
        if (Path(folder) / _IDS).is_file():
            ids = json.loads((Path(folder) / _IDS).read_text())
            self.users, self.items = (Vocabulary(_array(ids[f"{name}s"]), f"{name}_id") for name in ("user", "item"))


def _array(ids: list[Any]) -> np.ndarray:
    return np.array(ids, np.int64 if ids and isinstance(ids[0], int) else object)


def _is_list(value: Any) -> bool:
    return not isinstance(value, str) and np.ndim(value) > 0


def _codes(vocabulary: Vocabulary, ids: Any) -> np.ndarray:
    """Returns the codes of one id or of many, int64 `[n]`.

    Raises:
        DataError: If one is unknown.
    """
    listed = [ids] if isinstance(ids, str) or np.ndim(ids) == 0 else ids
    codes = vocabulary.encode(listed)
    if (codes < 0).any():
        unknown, known = np.asarray(listed, object)[codes < 0].tolist(), vocabulary.ids[:1].tolist()
        raise DataError(
            f"{len(unknown)} of {len(codes)} {vocabulary.name}s are not in the training data. "
            f"Received: {', '.join(map(repr, unknown[:3]))} (ids are such as {known[0]!r})."
        )
    return codes
