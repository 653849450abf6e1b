"""Sources -> the data set: the rows are cleaned, merged, split, encoded and accounted for, in this order."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pa_parquet

from tfadt.config.ingest import IngestConfig
from tfadt.data import artifact
from tfadt.data.account import balance, hints_of, no_row_left, warnings_of
from tfadt.data.cleaning import DISLIKED_OF, Account, Rules
from tfadt.data.database import Database, text
from tfadt.data.extra_feedback import add_extra_feedback, known
from tfadt.data.feedback import describe
from tfadt.data.files import SPLITS
from tfadt.data.ids import number_ids
from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.data.log import Log, Progress
from tfadt.data.pairs import APART, account_removed, encode, keep_core, split
from tfadt.data.tables import Source


def build(log: Log, is_named_set: bool, config: IngestConfig, say: Progress, database: Database) -> InteractionData:
    """Returns the data of a log, or of three given splits.

    Args:
        log: The rows.
        is_named_set: Whether it is a data set by name, whose splits are what they are.
        config: Settings.
        say: Called with one line at each step.
        database: Takes the pairs of the log; closed at the end.

    Raises:
        ConfigError: If settings contradict each other.
        DataError: If the rows cannot be used.
    """
    sources, accounts, rules = log.sources, log.accounts, log.rules
    rule, is_log = rules.rule, sources[0].table.split is None
    names = _names(sources)
    if not any(account.kept for account in accounts):
        log.add_samples()
        raise no_row_left(f"No row of {names} can be used.", accounts)
    say("Merging pairs")
    log.merge()
    share = database.run(f"SELECT avg({DISLIKED_OF}::INT) FROM pairs")[0][0] if rule != "none" else None
    found = warnings_of(accounts, share, rules, log.most_common)
    if is_log:
        keep_core(config, database)
    number_ids(config, database)
    say("Splitting")
    drops = is_named_set or sources[0].table.format == "adt"
    on_overlap = config.on_overlap or ("drop_from_test" if drops else "refuse")
    split(config, names, is_log, on_overlap, database)
    clean_test = config.clean_test and rule != "none"
    kept = encode(clean_test, known(rules.extra, rule, config), database)
    account_removed(accounts, database)
    log.add_samples()
    sizes = {ours: database.run(f"SELECT count(*) FROM {ours}")[0][0] for ours in ("users", "items")}
    _check_enough(sizes, kept, names, accounts, rules, found)
    extra = add_extra_feedback(rules.extra, rule, config, database)
    of_rows = balance(accounts, dict(kept))
    times_named = Counter(source.table.name for source in sources)
    of_rows["sources"] = [
        {
            # In a folder of partitions many files have one name.
            "name": source.table.name if times_named[source.table.name] == 1 else source.table.label,
            "split": source.table.split,
            **account.summary(),
        }
        for source, account in zip(sources, accounts, strict=True)
    ]
    if config.rejected is not None:
        say(f"Writing {config.rejected}")
        log.write_rejected(config.rejected)
    say("Writing")
    data = _read_back(rule != "none", clean_test, rules.extra != "none", database)
    for warning in found:
        warnings.warn(warning, stacklevel=3)
    notes = [note for source in sources for note in source.table.notes] + _notes_on_ids(accounts) + hints_of(accounts)
    manifest = {
        "schema": artifact.SCHEMA,
        "source": {
            "name": names,
            "format": sources[0].table.format,
            "simulated": sources[0].table.format == "simulated",
        },
        "feedback": {**describe(rule, config.feedback), "clean_test": clean_test},
        "split": config.split.model_dump(mode="json") if is_log else {"method": "given"},
        "settings": settings_of(config),
        "rows": of_rows,
        "counts": {**sizes, **kept},
        "times": {"untimed": sum(a.untimed for a in accounts), "unreadable": sum(a.unreadable for a in accounts)},
        "false_positive_share": {"log": share} | {n: _share(getattr(data, n)) for n in SPLITS},
        "extra_feedback": extra,
        "warnings": found,
        "notes": list(dict.fromkeys(notes)),
        "fingerprint": artifact.fingerprint(data),
    }
    return replace(data, manifest=manifest)


def settings_of(config: IngestConfig) -> dict[str, Any]:
    """Returns the settings that decide what is made of the rows, for the manifest."""
    elsewhere = {
        "data",
        "train",
        "valid",
        "test",
        "dataset",
        "manual_dir",
        "simulate",
        "simulated",
        "memory_limit",
        "rejected",
        "runner",
        "runner_options",
    }
    return config.model_dump(mode="json", exclude=elsewhere)


def _check_enough(
    sizes: Mapping[str, int],
    kept: Counter[str],
    names: str,
    accounts: Sequence[Account],
    rules: Rules,
    doubts: Sequence[str],
) -> None:
    if min(sizes.values()) < 2:
        raise no_row_left(
            f"The training rows of {names} have {sizes['users']} users and {sizes['items']} items. Expected at least 2 "
            "users and 2 items.",
            accounts,
            doubts,
        )
    if not kept["test"]:
        hint = ""
        if kept[APART]:
            low_high = next((a.ranges[rules.rule] for a in accounts if rules.rule in a.ranges), None)
            hint = f" All {kept['test_disliked']:,} test rows left are false positives by {rules.rule}"
            hint += f": values {low_high[0]:g} .. {low_high[1]:g}, and " if low_high else "; "
            threshold = describe(rules.rule, rules.config.feedback)["threshold"]
            hint += f"ingest.feedback.{rules.rule}_below is {threshold:g}." if threshold is not None else "1 marks one."
        raise no_row_left(
            f"No test row of {names} is left. Expected at least one true positive whose user and item are in training."
            f"{hint}",
            accounts,
            doubts,
        )


def _read_back(with_flags: bool, clean_test: bool, with_extra: bool, database: Database) -> InteractionData:
    """Returns what the tables hold; the database gives its memory back before it is read into arrays."""
    flag = f", {DISLIKED_OF} AS false_positive" if with_flags else ""
    pairs = "SELECT user_code AS user, item_code AS item"
    known = ", known = 1 AS known_positive, known = -1 AS known_negative" if with_extra else ""
    selects = {
        name: f"{pairs}{flag}{known if name != 'test' else ''} FROM coded WHERE fate = '{name}' ORDER BY 1, 2"
        for name in SPLITS
    }
    if clean_test:
        selects[APART] = f"{pairs} FROM coded WHERE fate = '{APART}' ORDER BY 1, 2"
    if with_extra:
        selects["extra_feedback"] = f"{pairs} FROM extra ORDER BY 1, 2"
    selects |= {name: f"SELECT id FROM {name} ORDER BY code" for name in ("users", "items")}
    for name, select in selects.items():
        database.run(f"COPY ({select}) TO {text(str(database.workspace / name))} (FORMAT parquet)")
    database.close()

    def columns(name: str) -> dict[str, Any]:
        # One by one: of a large log a column and its copy are a gigabyte.
        file = pa_parquet.ParquetFile(database.workspace / name)
        return {column: file.read([column]).column(0).to_numpy() for column in file.schema_arrow.names}

    users, items = (Vocabulary(columns(f"{ours}s")["id"], f"{ours}_id") for ours in ("user", "item"))
    splits = {name: Interactions(**columns(name)) for name in selects if name not in ("users", "items")}
    train, valid, test = (splits[name] for name in SPLITS)
    extra, disliked = splits.get("extra_feedback"), splits.get(APART)
    return InteractionData(train, valid, test, users, items, extra_feedback=extra, test_disliked=disliked)


def _notes_on_ids(accounts: Sequence[Account]) -> list[str]:
    return [
        f"{ours}_id is written with decimals (7.0): read as integers"
        for ours in ("user", "item")
        if all(a.integers.get(ours, True) for a in accounts) and any(a.decimals.get(ours) for a in accounts)
    ]


def _share(split: Interactions) -> float | None:
    return None if split.false_positive is None or not len(split) else float(split.false_positive.mean())


def _names(sources: Sequence[Source]) -> str:
    names = [source.table.name for source in sources]
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:3])} and {len(names) - 3} more"
