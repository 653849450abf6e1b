"""The training clicks with their weights, as other recommenders read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from tfadt.atomic import write_atomically
from tfadt.errors import ConfigError
from tfadt.registry import check_name


def _recbole(scores: pd.DataFrame, out: Path) -> None:
    columns = {"user_id": "user_id:token", "item_id": "item_id:token", "weight": "weight:float"}
    scores[list(columns)].rename(columns=columns).to_csv(out, sep="\t", index=False)


def _implicit(scores: pd.DataFrame, out: Path) -> None:
    users, items = (scores[f"{ours}_id"].astype("category").cat for ours in ("user", "item"))
    shape = len(users.categories), len(items.categories)
    matrix = sp.csr_matrix((scores["weight"].to_numpy("float32"), (users.codes, items.codes)), shape=shape)
    # What scipy.sparse.load_npz reads, and the ids beside it; text of one length, since objects would be pickled.
    ids = {f"{ours}_id": np.array(cat.categories.tolist()) for ours, cat in (("user", users), ("item", items))}
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": np.array(shape)}
    with out.open("wb") as file:  # or savez would add its own suffix
        np.savez(file, allow_pickle=False, format=np.array(b"csr"), **parts, **ids)


def _parquet(scores: pd.DataFrame, out: Path) -> None:
    scores[["user_id", "item_id", "weight"]].to_parquet(out, index=False)


FORMATS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "recbole": _recbole,
    "implicit": _implicit,
    "parquet": _parquet,
}
"""`recbole`: an atomic file; `implicit`: a CSR matrix of users and items, npz; `parquet`: `user_id`, `item_id`, `weight`."""


def write_weighted(scores: pd.DataFrame, format: str, out: Path) -> None:
    """Writes the clicks of `noise_scores` that weigh more than 0, with their weights; the file is whole or not there.

    Raises:
        ConfigError: If the format is unknown, or as `check_weights` does.
        OSError: If the file cannot be written.
    """
    check_name("format", FORMATS, format)
    check_weights(scores)
    write_atomically(out, lambda path: FORMATS[format](scores[scores["weight"] > 0], path))


def check_weights(scores: pd.DataFrame) -> None:
    """Raises ConfigError if the policy of `noise_scores` does not know before training what a click weighs."""
    if "weight" not in scores:
        raise ConfigError(
            "The policy of this model weighs rows by what training finds, which no other recommender can use. Expected a "
            "model of noise_model, popularity or standard (--model)."
        )
