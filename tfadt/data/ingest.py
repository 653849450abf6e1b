"""Stage `ingest`: a log of clicks or ratings becomes three splits of codes, two vocabularies and a manifest."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tfadt.config.ingest import Columns, IngestConfig
from tfadt.data import artifact
from tfadt.data.accounting import RowAccount, balance
from tfadt.data.extra_feedback import COLUMN, add_extra_feedback
from tfadt.data.feedback import RULES, apply_rule, choose_rule, describe
from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.data.sources import SPLITS, Source, read_sources, source_kind
from tfadt.data.splits import needs_time, split_rows
from tfadt.data.tables import ReadResult, find_columns, missing_column
from tfadt.data.values import encode_ids, to_time
from tfadt.errors import ConfigError, DataError

_MANY_MISSING = 0.1  # share of the rows


def ingest(config: IngestConfig, on_progress: Callable[[str], None] | None = None) -> InteractionData:
    """Reads, cleans, splits and encodes the interactions that the configuration names.

    In this order: read; reject rows without ids, readable feedback or (where the split needs it) time; keep each
    (user, item) pair once, the latest one; split; keep true positives in test (the paper's section 5); drop users and
    items unseen in training from validation and test; tell which training interactions are known to be liked (3.4).

    Args:
        config: Settings of the stage. A folder written by `artifact.save` as `data` is loaded as it is.
        on_progress: Called with one line at each step.

    Returns:
        The data; `manifest["rows"]` accounts for every row that came in.

    Raises:
        ConfigError: If the sources or settings contradict each other.
        DataError: If the input cannot be used.
    """
    say = on_progress or (lambda line: None)
    if source_kind(config) == "data" and config.data is not None and artifact.is_artifact(config.data):
        say(f"Loading {config.data}")
        data = artifact.load(config.data)
        _check_same_settings(data.manifest, config)
        return data
    return _build(read_sources(config, say), config, say)


def from_frame(frame: pd.DataFrame, config: IngestConfig | None = None) -> InteractionData:
    """Returns the data of a log in memory, treated as `ingest` treats a file.

    Args:
        frame: One row an interaction, columns as named in `config.columns`.
        config: Settings; its source is not used.

    Raises:
        ConfigError: If settings contradict each other.
        DataError: If the frame cannot be used.
    """
    config = config or IngestConfig()
    names = [str(name) for name in frame.columns]
    found = find_columns(config.columns, names, "The DataFrame")
    columns = {ours: frame.iloc[:, names.index(theirs)].reset_index(drop=True) for ours, theirs in found.items()}
    if not len(frame):
        raise DataError("The DataFrame has no rows. Expected at least one.")
    table = ReadResult(pd.DataFrame(columns), len(frame), {}, names, "frame")
    return _build([Source("DataFrame", None, table)], config, lambda line: None)


def _build(sources: list[Source], config: IngestConfig, say: Callable[[str], None]) -> InteractionData:
    accounts = [RowAccount(source.table.rows_in, source.table.rejected) for source in sources]
    tables = [source.table.frame for source in sources]
    rule = choose_rule(config.feedback, tables)
    is_log = sources[0].split is None
    if config.feedback.rule == "auto" and rule == "none":
        # Feedback that only some files have must not get lost unsaid; the missing column is then an error.
        rule = next((name for name in RULES if any(name in table for table in tables)), "none")
    for source in sources:
        _check_columns(source, rule, is_log and needs_time(config.split), config)

    say(f"Checking {sum(len(table) for table in tables):,} rows")
    users, user_ids, user_notes = encode_ids([table["user"] for table in tables], "user_id")
    items, item_ids, item_notes = encode_ids([table["item"] for table in tables], "item_id")
    cleaned = []
    for table, user, item, account in zip(tables, users, items, accounts, strict=True):
        coded = table.drop(columns=["user", "item"]).assign(user=user, item=item)
        coded = account.keep(coded, coded["user"].to_numpy() >= 0, "user_id missing")
        coded = account.keep(coded, coded["item"].to_numpy() >= 0, "item_id missing")
        coded = apply_rule(coded, rule, config.feedback, account)
        coded = _read_times(coded, is_log and needs_time(config.split), account)
        cleaned.append(_drop_duplicates(coded, len(item_ids), account))
    if not any(len(frame) for frame in cleaned):
        raise DataError(f"No row of {_names(sources)} can be used. Rejected: {_reasons(accounts)}.")

    say("Splitting")
    if is_log:
        times = cleaned[0]["timestamp"].to_numpy() if "timestamp" in cleaned[0] else None
        labels = split_rows(cleaned[0]["user"].to_numpy(), times, config.split)
        frames = {name: cleaned[0][labels == code] for code, name in enumerate(SPLITS)}
        split_accounts = dict.fromkeys(SPLITS, accounts[0])
    else:
        frames = dict(zip(SPLITS, cleaned, strict=True))
        split_accounts = dict(zip(SPLITS, accounts, strict=True))
        _remove_overlap(frames, split_accounts, len(item_ids), config.on_overlap)
    held_out = pd.concat([frames["valid"], frames["test"]])
    if config.clean_test and rule != "none":
        good = ~frames["test"]["false_positive"].to_numpy(bool)
        frames["test"] = split_accounts["test"].keep(frames["test"], good, "test: false positive")

    data, kept = _encode(frames, split_accounts, user_ids, item_ids)
    _check_enough(data, _names(sources), accounts)
    held_out_ids = user_ids[held_out["user"].to_numpy()], item_ids[held_out["item"].to_numpy()]
    data, extra_feedback = add_extra_feedback(data, frames["train"].get(COLUMN), held_out_ids, config)
    rows = balance(accounts, kept)
    _warn_of_missing_feedback(rows, rule)
    rows["sources"] = [
        {"name": source.name, "split": source.split, **account.summary()}
        for source, account in zip(sources, accounts, strict=True)
    ]
    notes = [note for source in sources for note in source.table.notes] + user_notes + item_notes
    manifest = {
        "schema": artifact.SCHEMA,
        "source": {
            "name": _names(sources),
            "format": sources[0].table.format,
            "simulated": sources[0].table.format == "simulated",
        },
        "feedback": {**describe(rule, config.feedback), "clean_test": config.clean_test and rule != "none"},
        "split": config.split.model_dump(mode="json") if is_log else {"method": "given"},
        "settings": settings_of(config),
        "rows": rows,
        "counts": {"users": data.num_users, "items": data.num_items, **kept},
        "false_positive_share": {name: _share(getattr(data, name)) for name in SPLITS},
        "extra_feedback": extra_feedback,
        "notes": notes,
        "fingerprint": artifact.fingerprint(data),
    }
    return replace(data, manifest=manifest)


def _warn_of_missing_feedback(rows: dict[str, Any], rule: str) -> None:
    missing = rows["rejected"].get(f"{rule} missing", 0)
    if missing > _MANY_MISSING * rows["in"]:
        warnings.warn(
            f"{missing:,} of {rows['in']:,} rows have no {rule} and are left out. To train on every click, without telling "
            "false positives: ingest.feedback.rule = 'none'.",
            stacklevel=3,
        )


def settings_of(config: IngestConfig) -> dict[str, Any]:
    """Returns the settings that decide what is made of the rows, for the manifest."""
    decisive = {"columns", "feedback", "extra_feedback", "split", "clean_test", "on_overlap"}
    return config.model_dump(mode="json", include=decisive)


def _check_same_settings(manifest: dict[str, Any], config: IngestConfig) -> None:
    """Refuses settings that a folder made with others would silently not follow."""
    default, made_with = settings_of(IngestConfig()), dict(manifest.get("settings", {}))
    for name, value in settings_of(config).items():
        if isinstance(made_with.get(name), dict):
            # A folder of an earlier version knew fewer settings.
            made_with[name] = default[name] | made_with[name]
        if value != default[name] and value != made_with.get(name):
            raise ConfigError(
                f"{config.data} was ingested with other settings of ingest.{name}; ingest the log anew to change them. "
                f"Expected {made_with.get(name)}. Received: {value}."
            )


def _check_columns(source: Source, rule: str, with_time: bool, config: IngestConfig) -> None:
    with_extra = source.split in (None, "train") and config.columns.extra_feedback != Columns().extra_feedback
    conditions = {rule: rule != "none", "timestamp": with_time, COLUMN: with_extra}
    for needed in (name for name, is_needed in conditions.items() if is_needed):
        if needed not in source.table.frame.columns:
            raise missing_column(needed, getattr(config.columns, needed), source.name, source.table.existing)


def _read_times(frame: pd.DataFrame, needed: bool, account: RowAccount) -> pd.DataFrame:
    """Makes the timestamps orderable; rows without one are rejected only where the split needs it."""
    if "timestamp" not in frame.columns:
        return frame
    times, readable = to_time(frame["timestamp"], "timestamp")
    frame = frame.assign(timestamp=times)
    return account.keep(frame, readable, "timestamp missing, or no number and no ISO 8601 date") if needed else frame


def _drop_duplicates(frame: pd.DataFrame, num_items: int, account: RowAccount) -> pd.DataFrame:
    """Keeps each pair once: the latest by timestamp, without timestamps (or at equal ones) the last row."""
    pair = frame["user"].to_numpy() * num_items + frame["item"].to_numpy()
    repeated = np.flatnonzero(pd.Series(pair).duplicated(keep=False).to_numpy())
    if not len(repeated):
        return frame
    time = frame["timestamp"].to_numpy()[repeated] if "timestamp" in frame.columns else np.zeros(len(repeated))
    order = repeated[np.lexsort((repeated, time, pair[repeated]))]
    last = np.append(pair[order][1:] != pair[order][:-1], True)
    good = np.ones(len(frame), bool)
    good[order[~last]] = False
    return account.keep(frame, good, "duplicate pair")


def _remove_overlap(
    frames: dict[str, pd.DataFrame], accounts: dict[str, RowAccount], num_items: int, on_overlap: str
) -> None:
    """Refuses or removes pairs that two given splits share; the later split (train, valid, test) loses them."""

    def pairs(name: str) -> np.ndarray:
        keys: np.ndarray = frames[name]["user"].to_numpy() * num_items + frames[name]["item"].to_numpy()
        return keys

    def shared(first: str, second: str) -> np.ndarray:
        return np.isin(pairs(second), pairs(first))

    couples = (("train", "valid"), ("train", "test"), ("valid", "test"))
    counts = {couple: int(shared(*couple).sum()) for couple in couples}
    if on_overlap == "refuse" and any(counts.values()):
        listed = ", ".join(f"{first} and {second}: {count}" for (first, second), count in counts.items() if count)
        raise DataError(
            f"The given splits share (user, item) pairs, which makes the test meaningless ({listed}). Expected none; "
            "ingest.on_overlap = 'drop_from_test' removes them from the later split."
        )
    for first, second in couples:
        good = ~shared(first, second)
        frames[second] = accounts[second].keep(frames[second], good, f"{second}: pair also in {first}")


def _encode(
    frames: dict[str, pd.DataFrame], accounts: dict[str, RowAccount], user_ids: np.ndarray, item_ids: np.ndarray
) -> tuple[InteractionData, dict[str, int]]:
    """Builds vocabularies from training and drops what it never saw from validation and test."""
    code_of, vocabularies = {}, {}
    for column, ids in (("user", user_ids), ("item", item_ids)):
        seen = np.zeros(len(ids), bool)
        seen[frames["train"][column].to_numpy()] = True
        code_of[column] = np.where(seen, np.cumsum(seen) - 1, -1)
        vocabularies[column] = Vocabulary(ids[seen], f"{column}_id")
    splits = {}
    for name, frame in frames.items():
        for column in ("user", "item"):
            known = code_of[column][frame[column].to_numpy()] >= 0
            frame = accounts[name].keep(frame, known, f"{name}: {column} unseen in training")
        flags = frame["false_positive"].to_numpy(bool, copy=True) if "false_positive" in frame.columns else None
        user, item = (code_of[column][frame[column].to_numpy()] for column in ("user", "item"))
        splits[name] = Interactions(user, item, flags)
    data = InteractionData(splits["train"], splits["valid"], splits["test"], vocabularies["user"], vocabularies["item"])
    return data, {name: len(split) for name, split in splits.items()}


def _check_enough(data: InteractionData, names: str, accounts: Sequence[RowAccount]) -> None:
    if data.num_users < 2 or data.num_items < 2:
        raise DataError(
            f"The training rows of {names} have {data.num_users} users and {data.num_items} items. Expected at least 2 "
            f"users and 2 items. Rejected: {_reasons(accounts)}."
        )
    if not len(data.test):
        raise DataError(
            f"No test row of {names} is left. Expected at least one true positive whose user and item are in training. "
            f"Rejected: {_reasons(accounts)}."
        )


def _share(split: Interactions) -> float | None:
    return None if split.false_positive is None or not len(split) else float(split.false_positive.mean())


def _names(sources: list[Source]) -> str:
    return ", ".join(source.name for source in sources)


def _reasons(accounts: Sequence[RowAccount]) -> str:
    total: dict[str, int] = {}
    for account in accounts:
        for reason, count in account.rejected.items():
            total[reason] = total.get(reason, 0) + count
    return ", ".join(f"{reason}: {count}" for reason, count in sorted(total.items())) or "none"
