"""Stage `ingest`: from a log, three files, a TFDS data set or a simulation to codes, splits and a full account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tfadt.config import IngestConfig
from tfadt.data import artifact, feedback
from tfadt.data.accounting import RowAccount
from tfadt.data.identifiers import encode_ids
from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.data.sources import read_source
from tfadt.data.splits import NAMES, TEST, TRAIN, VALID, split_rows
from tfadt.data.timestamps import read_times
from tfadt.errors import DataError

SCHEMA_VERSION = 1


def ingest(config: IngestConfig, on_progress: Callable[[str], None] | None = None) -> InteractionData:
    """Reads the configured source and makes the data set of a run.

    Args:
        config: Source, columns, feedback rule, split.
        on_progress: Called with a line of text as the work goes on.

    Returns:
        The data set; `manifest["rows"]` accounts for every row.

    Raises:
        DataError: If the source cannot be used; the message names file, column and what was expected.
        ConfigError: If the settings contradict each other.
    """
    say = on_progress or (lambda text: None)
    if config.data is not None and artifact.is_artifact(config.data):
        say(f"reading {config.data}")
        return artifact.load(config.data)
    account = RowAccount()
    frame, source = read_source(config, account, say)
    say(f"{account.rows_in:,} rows read")
    return _assemble(frame, source, config, account)


def from_frame(frame: pd.DataFrame, config: IngestConfig | None = None) -> InteractionData:
    """Makes a data set of a DataFrame with the columns that `config.columns` names; see `ingest`."""
    config = config or IngestConfig()
    account = RowAccount()
    account.rows_in = len(frame)
    names = {theirs: ours for ours, theirs in config.columns.model_dump().items() if theirs in frame.columns}
    chosen = frame[list(names)].rename(columns=names).reset_index(drop=True)
    chosen.attrs["columns"] = [str(column) for column in frame.columns]
    return _assemble(chosen, {"kind": "frame", "simulated": False, "name": "DataFrame"}, config, account)


def _assemble(frame: pd.DataFrame, source: dict[str, Any], config: IngestConfig, account: RowAccount) -> InteractionData:
    """Goes from raw rows (user, item, feedback, split when given) to the data set."""
    name = str(source["name"])
    _check_columns(frame, config, name)
    user, user_ids = encode_ids(frame["user"])
    item, item_ids = encode_ids(frame["item"])
    frame = frame.assign(user=user, item=item)
    frame = account.keep(frame, (frame["user"] >= 0).to_numpy(), "user id missing")
    frame = account.keep(frame, (frame["item"] >= 0).to_numpy(), "item id missing")
    rule = feedback.choose_rule(config.feedback, frame.columns)
    frame, flags = _tell_false_positives(frame, rule, config, account)
    given = "split" in frame.columns
    time = None
    if "timestamp" in frame.columns and not given:
        needed = config.split.method != "random"
        frame, flags, time = read_times(frame, flags, needed, account)
    columns = {
        "user": frame["user"].to_numpy(np.int64),
        "item": frame["item"].to_numpy(np.int64),
        "split": frame["split"].to_numpy(np.int8) if given else np.zeros(len(frame), np.int8),
    }
    if flags is not None:
        columns["false_positive"] = flags
    if time is not None:
        columns["timestamp"] = time
    rows = pd.DataFrame(columns)
    rows = _drop_duplicates(rows, len(item_ids), account)
    if given:
        rows = _resolve_overlap(rows, len(item_ids), config, account, name)
    else:
        times = rows["timestamp"].to_numpy() if "timestamp" in rows else None
        rows["split"] = split_rows(rows["user"].to_numpy(), times, config.split)
    return _finish(rows, user_ids, item_ids, rule, source, config, account)


def _check_columns(frame: pd.DataFrame, config: IngestConfig, source: str) -> None:
    from tfadt.data.readers import require

    existing = frame.attrs.get("columns", list(frame.columns))
    needed = ["user", "item"]
    if config.feedback.rule not in ("auto", "none"):
        needed.append(config.feedback.rule)
    if config.split.method != "random" and "split" not in frame.columns:
        needed.append("timestamp")
    # A name that was set, and not left at its default, must be there.
    needed += [key for key in config.columns.model_fields_set if key not in needed]
    for key in needed:
        require(frame, key, getattr(config.columns, key), source, existing)


def _tell_false_positives(
    frame: pd.DataFrame, rule: str, config: IngestConfig, account: RowAccount
) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Applies the rule; the authors' test file has no flags because it holds true positives alone."""
    if rule == "false_positive" and "split" in frame.columns and frame.attrs.get("clean_test"):
        frame.loc[frame["split"] == TEST, "false_positive"] = "0"
    return feedback.apply_rule(frame, rule, config.feedback, account)


def _drop_duplicates(rows: pd.DataFrame, num_items: int, account: RowAccount) -> pd.DataFrame:
    """Keeps each pair once in each split: the latest where times are known, else the last row."""
    key = rows["user"] * num_items + rows["item"]
    key = key * len(NAMES) + rows["split"]
    ordered = key if "timestamp" not in rows else key.iloc[np.argsort(rows["timestamp"].to_numpy(), kind="stable")]
    last = ~ordered.duplicated(keep="last")
    return account.keep(rows, last.sort_index().to_numpy(), "duplicate pair").reset_index(drop=True)


def _resolve_overlap(
    rows: pd.DataFrame, num_items: int, config: IngestConfig, account: RowAccount, source: str
) -> pd.DataFrame:
    """Refuses, or takes out of the later split, a pair that two given splits share."""
    key = (rows["user"] * num_items + rows["item"]).to_numpy()
    split = rows["split"].to_numpy()
    in_train = np.isin(key, key[split == TRAIN])
    in_valid = np.isin(key, key[split == VALID])
    shared = {
        "valid: pair also in train": (split == VALID) & in_train,
        "test: pair also in train": (split == TEST) & in_train,
        "test: pair also in valid": (split == TEST) & in_valid & ~in_train,
    }
    overlap = {reason: int(mask.sum()) for reason, mask in shared.items() if mask.any()}
    if not overlap:
        return rows
    if config.on_overlap == "refuse":
        listed = "; ".join(f"{reason}: {count:,}" for reason, count in overlap.items())
        raise DataError(
            f"{source}: the splits share pairs ({listed}). Expected disjoint splits; ingest.on_overlap=drop_from_test takes "
            "them out of the later split."
        )
    for reason, count in overlap.items():
        account.reject(reason, count)
    return rows[~np.logical_or.reduce(list(shared.values()))].reset_index(drop=True)


def _finish(
    rows: pd.DataFrame,
    user_ids: np.ndarray,
    item_ids: np.ndarray,
    rule: str,
    source: dict[str, Any],
    config: IngestConfig,
    account: RowAccount,
) -> InteractionData:
    """Takes unseen users and items and false positives out of the later splits, and numbers what training knows."""
    split = rows["split"].to_numpy()
    train = rows[split == TRAIN]
    users, items = np.unique(train["user"]), np.unique(train["item"])
    if len(users) < 2 or len(items) < 2:
        reasons = "; ".join(f"{reason}: {count:,}" for reason, count in account.rejected.items()) or "nothing rejected"
        raise DataError(
            f"{source['name']}: training needs at least 2 users and 2 items. Received: {len(users)} users and {len(items)} "
            f"items in {len(train):,} training rows ({account.rows_in:,} rows read; {reasons})."
        )
    user_code, item_code = _renumber(users, len(user_ids)), _renumber(items, len(item_ids))
    parts: dict[str, Interactions] = {}
    for number, name in enumerate(NAMES):
        part = rows[split == number]
        if number != TRAIN:
            part = account.keep(part, user_code[part["user"]] >= 0, f"{name}: user unseen in training")
            part = account.keep(part, item_code[part["item"]] >= 0, f"{name}: item unseen in training")
        if number == TEST and config.clean_test and rule != "none":
            part = account.keep(part, ~part["false_positive"].to_numpy(bool), "test: false positive")
        flags = None if rule == "none" else part["false_positive"].to_numpy(bool)
        parts[name] = Interactions(user_code[part["user"]], item_code[part["item"]], flags)
    manifest = _manifest(parts, rule, source, config, account, len(users), len(items))
    if len(parts["test"]) == 0:
        raise DataError(
            f"{source['name']}: nothing is left to test on. Expected at least one test row. Received: "
            f"{manifest['rows']['rejected'] or 'no test rows'}."
        )
    data = InteractionData(
        **parts,
        users=Vocabulary(user_ids[users], "user_id"),
        items=Vocabulary(item_ids[items], "item_id"),
        manifest=manifest,
    )
    manifest["fingerprint"] = artifact.fingerprint(data)
    return data


def _renumber(known: np.ndarray, size: int) -> np.ndarray:
    codes = np.full(size, -1, np.int64)
    codes[known] = np.arange(len(known))
    return codes


def _manifest(
    parts: dict[str, Interactions],
    rule: str,
    source: dict[str, Any],
    config: IngestConfig,
    account: RowAccount,
    num_users: int,
    num_items: int,
) -> dict[str, Any]:
    shares = {
        name: None if part.false_positive is None or len(part) == 0 else round(float(part.false_positive.mean()), 6)
        for name, part in parts.items()
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "source": source,
        "feedback": {
            **feedback.describe(rule, config.feedback),
            "clean_test": config.clean_test and rule != "none",
        },
        "split": "given" if source.get("given_split") else config.split.model_dump(),
        "rows": account.summary({name: len(part) for name, part in parts.items()}),
        "counts": {"users": num_users, "items": num_items, **{name: len(part) for name, part in parts.items()}},
        "false_positive_share": shares,
    }
