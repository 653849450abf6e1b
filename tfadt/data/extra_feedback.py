"""Extra feedback D*: which true positives are known beyond the clicks (the paper's section 3.4).

Nothing of validation or test becomes known: a share is drawn of the training interactions alone, a column is read of them
alone, and a file's pairs that were split off to validation or test are left out and counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tfadt.config.ingest import Columns, IngestConfig
from tfadt.data.accounting import RowAccount
from tfadt.data.feedback import read_flags
from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.data.readers import read
from tfadt.data.tables import ReadResult
from tfadt.data.values import encode_ids
from tfadt.errors import ConfigError, DataError

COLUMN = "extra_feedback"


def add_extra_feedback(
    data: InteractionData, column: pd.Series | None, held_out: tuple[np.ndarray, np.ndarray], config: IngestConfig
) -> tuple[InteractionData, dict[str, Any]]:
    """Returns the data with its extra feedback, and the account of it for the manifest.

    Args:
        data: The data without it.
        column: The flags of the training interactions, as they were read; None without such a column.
        held_out: User and item ids of all pairs that were split off to validation and test.
        config: Settings of ingest.

    Raises:
        ConfigError: If a file is given beside a column.
        DataError: If the file cannot be used, or names users, items or pairs that it may not.
    """
    settings = config.extra_feedback
    if settings.file is not None:
        if column is not None:
            raise ConfigError(
                f"Expected one source of extra feedback. Received: ingest.extra_feedback.file = '{settings.file}' and the "
                f"column '{config.columns.extra_feedback}' of the training data."
            )
        table = read(settings.file, columns=Columns(user=config.columns.user, item=config.columns.item))
        extra, account = _from_file(data, table, held_out, config)
    elif column is not None:
        extra, account = _from_column(data.train, column)
    elif data.train.false_positive is not None and settings.share > 0:
        rng = np.random.default_rng(settings.seed)
        known = ~data.train.false_positive & (rng.random(len(data.train)) < settings.share)
        extra, account = _pairs(data.train, known), {"source": "sample", "share": settings.share, "seed": settings.seed}
    else:
        return data, {"source": "none"}
    data = data.with_extra_feedback(extra)
    clicks = int(np.count_nonzero(np.asarray(data.train.known_positive)))
    return data, account | {
        "pairs": len(extra),
        "users": len(np.unique(extra.user)),
        "absent_from_clicks": len(extra) - clicks,
        "share_of_training": clicks / len(data.train),
    }


def _pairs(rows: Interactions, chosen: np.ndarray) -> Interactions:
    return Interactions(rows.user[chosen], rows.item[chosen])


def _from_column(train: Interactions, column: pd.Series) -> tuple[Interactions, dict[str, Any]]:
    flags, missing = read_flags(column, COLUMN)
    disliked = np.zeros(len(train), bool) if train.false_positive is None else train.false_positive
    unreadable = np.isnan(flags) & ~missing
    rejected = {"not 0 or 1": int(unreadable.sum()), "false positive": int(((flags == 1) & disliked).sum())}
    found = _pairs(train, (flags == 1) & ~disliked)
    return found, {"source": "column", "rejected": {reason: count for reason, count in rejected.items() if count}}


def _from_file(
    data: InteractionData, table: ReadResult, held_out: tuple[np.ndarray, np.ndarray], config: IngestConfig
) -> tuple[Interactions, dict[str, Any]]:
    settings, name = config.extra_feedback, str(config.extra_feedback.file)
    account, frame = RowAccount(table.rows_in, table.rejected), table.frame[["user", "item"]]
    ids = []
    for column in ("user", "item"):
        (codes,), distinct, _ = encode_ids([frame[column]], f"{column}_id")
        frame = account.keep(frame.assign(**{column: codes}), codes >= 0, f"{column}_id missing")
        ids.append(Vocabulary(distinct, f"{column}_id"))
    held = [vocabulary.encode(column) for vocabulary, column in zip(ids, held_out, strict=True)]
    held_keys = (held[0] * len(ids[1]) + held[1])[(held[0] >= 0) & (held[1] >= 0)]
    keys = (frame["user"] * len(ids[1]) + frame["item"]).to_numpy(np.int64)
    frame = account.keep(frame, ~np.isin(keys, held_keys), "in validation or test")
    for column, theirs, ours in zip(("user", "item"), ids, (data.users, data.items), strict=True):
        codes = ours.encode(theirs.ids)[frame[column].to_numpy(np.int64)]
        unknown = frame[column].to_numpy(np.int64)[codes < 0]
        if len(unknown) and settings.on_unknown == "refuse":
            raise DataError(
                f"{name} names {len(np.unique(unknown)):,} {column}s that training does not have. Expected training's "
                f"{len(ours):,} {column}s; ingest.extra_feedback.on_unknown = 'drop' leaves others out. "
                f"Received, for example: '{theirs.ids[unknown[0]]}'."
            )
        frame = account.keep(frame.assign(**{column: codes}), codes >= 0, f"{column} unseen in training")
    keys = (frame["user"] * data.num_items + frame["item"]).to_numpy(np.int64)
    clicks = data.train.user * data.num_items + data.train.item
    disliked = clicks[:0] if data.train.false_positive is None else clicks[data.train.false_positive]
    good = ~np.isin(keys, disliked)
    frame, keys = account.keep(frame, good, "false positive"), keys[good]
    good = ~pd.Series(keys).duplicated().to_numpy(bool)
    frame, keys = account.keep(frame, good, "duplicate pair"), keys[good]
    absent = int(np.count_nonzero(~np.isin(keys, clicks)))
    if absent and settings.on_absent == "refuse":
        raise DataError(
            f"{name} holds {absent:,} pairs that are not among the training clicks. Expected clicks only; "
            "ingest.extra_feedback.on_absent = 'keep' takes them for positives all the same."
        )
    pairs = Interactions(keys // data.num_items, keys % data.num_items)
    return pairs, {"source": "file", "name": name, "rows": {**account.summary(), "kept": len(pairs)}}
