"""Stage `ingest`: a log of clicks or ratings becomes three splits of codes, two vocabularies and a manifest."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pa_parquet

from tfadt.config.ingest import Columns, IngestConfig
from tfadt.data import artifact
from tfadt.data.account import balance, hints_of, no_row_left, share_of, warnings_of
from tfadt.data.cleaning import DISLIKED_OF, Account, Rows, Rules, clean, examine
from tfadt.data.columnar import read_table
from tfadt.data.database import Database, text
from tfadt.data.extra_feedback import COLUMN, add_extra_feedback, kind_of_extra_feedback, known
from tfadt.data.feedback import choose_rule, describe
from tfadt.data.files import SPLITS, find_files, named_file, source_kind
from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.data.manual_files import manual_files
from tfadt.data.pairs import APART, account_removed, encode, keep_core, merge, split
from tfadt.data.readers import as_source, read_file
from tfadt.data.ids import number_ids
from tfadt.data.rejected import add_samples, write_rejected
from tfadt.data.simulated import simulate
from tfadt.data.splits import check_shares, needs_time
from tfadt.data.tables import Source, missing_column
from tfadt.errors import ConfigError, DataError
from tfadt.registry import SOURCES

Progress = Callable[[str], None]


def ingest(source: Any = None, on_progress: Progress | None = None, *, folder: Path | None = None, **settings: Any) -> InteractionData:
    """Reads, cleans, splits and encodes interactions.

    In this order: read; reject rows without ids, readable feedback or (where the split needs it) time; keep each
    (user, item) pair once, the latest one; leave out what is too rare; split; keep true positives in test (the paper's
    section 5), the others apart; drop users and items unseen in training from validation and test; tell which training
    interactions are known to be liked (3.4).

    Args:
        source: Files (a path, text or a list of them), a DataFrame of pandas or polars, a table of pyarrow, or all settings
            as an `IngestConfig`. A folder written by `artifact.save` is loaded as it is. None for what `settings` name.
        on_progress: Called with one line at each step.
        folder: Where temporary files go, some 40 bytes a row (default: the system's temporary folder).
        **settings: Settings of `IngestConfig` by name, such as `where="is_click = 1"` or `columns={"user": "uid"}`.

    Returns:
        The data; `manifest["rows"]` accounts for every row that came in.

    Raises:
        ConfigError: If the sources or settings contradict each other.
        DataError: If the input cannot be used.
        OutOfMemoryError: If it fits neither into `memory_limit` nor on the disk.
    """
    say = on_progress or (lambda line: None)
    if isinstance(source, IngestConfig):
        config = source.model_copy(update=settings) if settings else source
    elif isinstance(source, str | Path | list | tuple):
        config = IngestConfig(data=source, **settings)
    else:
        config = IngestConfig(**settings)
        if source is not None:
            return from_frame(source, config)
    check_shares(config.split)
    kind = source_kind(config)
    if kind == "data" and config.data is not None and len(config.data) == 1 and artifact.is_artifact(config.data[0]):
        say(f"Loading {config.data[0]}")
        data = artifact.load(config.data[0])
        _check_same_settings(data.manifest, config)
        return data
    files = find_files(config) if kind in ("data", "splits") else []
    with Database([*(file.path for file in files), *_beside(config)], config.memory_limit, folder) as database:
        if files:
            sources = []
            for file in files:
                say(f"Reading {file.path}")
                sources.append(read_file(file, config, database))
        else:
            sources = [as_source(table, config, database) for table in _tables(kind, config, say, database)]
        return _build(sources, kind, config, say, database)


def from_frame(frame: Any, config: IngestConfig | None = None) -> InteractionData:
    """Returns the data of a log in memory, treated as `ingest` treats a file.

    Args:
        frame: One row an interaction, columns as named in `config.columns`: a DataFrame of pandas or polars, or a table of
            pyarrow.
        config: Settings; its source is not used.

    Raises:
        ConfigError: If settings contradict each other.
        DataError: If the frame cannot be used.
    """
    config = config or IngestConfig()
    check_shares(config.split)
    with Database(_beside(config), config.memory_limit) as database:
        source = as_source(read_table("The DataFrame", frame, database), config, database)
        return _build([source], "data", config, lambda line: None, database)


def source_files(config: IngestConfig) -> list[Path]:
    """Returns the files, or the ingested folder, whose content decides what the configuration's source gives.

    Of a data set of ours they are its manual files, as far as they are there; another data set, or the simulation, has none.
    """
    kind = source_kind(config)
    if kind == "data" and config.data is not None and len(config.data) == 1 and artifact.is_artifact(config.data[0]):
        files = list(config.data)
    elif kind == "dataset":
        files = manual_files(str(config.dataset), config.manual_dir)
    else:
        files = [file.path for file in find_files(config)] if kind != "simulate" else []
    return files if config.extra_feedback.file is None else [*files, config.extra_feedback.file]


def _beside(config: IngestConfig) -> list[Path]:
    return [] if config.extra_feedback.file is None else [named_file(config.extra_feedback.file, config).path]


def _tables(kind: str, config: IngestConfig, say: Progress, database: Database) -> list[Any]:
    if kind == "simulate":
        say("Simulating clicks")
        return [read_table("simulated", simulate(config.simulated), database, format="simulated")]
    say(f"Reading {config.dataset}")
    name = str(config.dataset)
    tables = []
    for part, (frame, lost) in SOURCES.resolve("dataset")(name, config.columns, config.manual_dir).items():
        label = f"{name}[{part}]" if part else name
        table = read_table(label, frame, database, part or None, "tfds")
        tables.append(replace(table, lost=lost))
    return tables


def _build(sources: Sequence[Source], kind: str, config: IngestConfig, say: Progress, database: Database) -> InteractionData:
    is_log = sources[0].table.split is None
    names = _names(sources)
    rule = choose_rule(config.feedback, sources)
    rules = Rules(rule, is_log and needs_time(config.split), config)
    for source in sources:
        check_columns(source, rule, rules.needs_time, config)
    extra_kind = kind_of_extra_feedback(sources, rule, config)

    rows, accounts = [], []
    for number, source in enumerate(sources):
        say(f"Checking {source.table.name}")
        rows.append(clean(source, number, rules, database))
        accounts.append(examine(rows[-1], rules, database))
    if not any(account.kept for account in accounts):
        raise no_row_left(f"No row of {names} can be used.", accounts, rows, database)
    found = warnings_of(rows, accounts, rules, database)
    say("Merging pairs")
    merge(rows, accounts, database)
    if is_log:
        keep_core(config, database)
    number_ids(config, database)
    say("Splitting")
    named_set = kind == "dataset" or sources[0].table.format == "adt"
    on_overlap = config.on_overlap or ("drop_from_test" if named_set else "refuse")
    split(config, names, is_log, on_overlap, database)
    clean_test = config.clean_test and rule != "none"
    kept = encode(clean_test, known(extra_kind, config), database)
    account_removed(accounts, database)
    sizes = {ours: database.run(f"SELECT count(*) FROM {ours}")[0][0] for ours in ("users", "items")}
    _check_enough(sizes, kept, names, accounts, rules, rows, database)
    extra = add_extra_feedback(extra_kind, config, database)
    add_samples(accounts, rows, database)
    of_rows = balance(accounts, dict(kept))
    of_rows["sources"] = [
        {"name": source.table.name, "split": source.table.split, **account.summary()}
        for source, account in zip(sources, accounts, strict=True)
    ]
    if config.rejected is not None:
        say(f"Writing {config.rejected}")
        write_rejected(config.rejected, rows, database)
    say("Writing")
    data = _read_back(rule != "none", clean_test, extra_kind != "none", database)
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
        "false_positive_share": {"log": share_of(accounts, rule)} | {n: _share(getattr(data, n)) for n in SPLITS},
        "extra_feedback": extra,
        "warnings": found,
        "notes": list(dict.fromkeys(notes)),
        "fingerprint": artifact.fingerprint(data),
    }
    return replace(data, manifest=manifest)


def settings_of(config: IngestConfig) -> dict[str, Any]:
    """Returns the settings that decide what is made of the rows, for the manifest."""
    elsewhere = {"data", "train", "valid", "test", "dataset", "manual_dir", "simulate", "simulated", "memory_limit", "rejected"}
    return config.model_dump(mode="json", exclude=elsewhere)


def _check_same_settings(manifest: Mapping[str, Any], config: IngestConfig) -> None:
    """Refuses settings that a folder made with others would silently not follow."""
    default, made_with = settings_of(IngestConfig()), manifest.get("settings", {})
    for name, value in settings_of(config).items():
        if value != default[name] and value != made_with.get(name):
            raise ConfigError(
                f"{config.data[0] if config.data else ''} was ingested with other settings of ingest.{name}; ingest the log "
                f"anew to change them. Expected {made_with.get(name)}. Received: {value}."
            )


def check_columns(source: Source, rule: str, with_time: bool, config: IngestConfig) -> None:
    """Raises DataError if a source lacks a column that the settings need beyond user and item."""
    columns = config.columns
    with_extra = source.table.split in (None, "train") and columns.extra_feedback != Columns().extra_feedback
    conditions = {rule: rule != "none", "timestamp": with_time, COLUMN: with_extra}
    for needed in (name for name, is_needed in conditions.items() if is_needed):
        if needed not in source.values:
            raise missing_column(needed, getattr(columns, needed), source.table.label, source.table.existing)


def _check_enough(
    sizes: Mapping[str, int],
    kept: Counter[str],
    names: str,
    accounts: Sequence[Account],
    rules: Rules,
    rows: Sequence[Rows],
    database: Database,
) -> None:
    if min(sizes.values()) < 2:
        raise no_row_left(
            f"The training rows of {names} have {sizes['users']} users and {sizes['items']} items. Expected at least 2 users "
            "and 2 items.",
            accounts,
            rows,
            database,
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
            f"No test row of {names} is left. Expected at least one true positive whose user and item are in training.{hint}",
            accounts,
            rows,
            database,
        )


def _read_back(with_flags: bool, clean_test: bool, with_extra: bool, database: Database) -> InteractionData:
    """Returns what the tables hold; the database gives its memory back before it is read into arrays."""
    flag = f", {DISLIKED_OF} AS false_positive" if with_flags else ""
    pairs = "SELECT user_code AS user, item_code AS item"
    selects = {name: f"{pairs}{flag} FROM coded WHERE fate = '{name}' ORDER BY 1, 2" for name in SPLITS}
    if clean_test:
        selects[APART] = f"{pairs} FROM coded WHERE fate = '{APART}' ORDER BY 1, 2"
    if with_extra:
        selects["extra_feedback"] = f"{pairs} FROM extra ORDER BY 1, 2"
    selects |= {name: f"SELECT id FROM {name} ORDER BY code" for name in ("users", "items")}
    for name, select in selects.items():
        database.run(f"COPY ({select}) TO {text(str(database.workspace / name))} (FORMAT parquet)")
    database.close()

    def columns(name: str) -> list[Any]:
        table = pa_parquet.read_table(database.workspace / name)
        return [column.to_numpy() for column in table.columns]

    tables = {name: Interactions(*columns(name)) for name in selects if name not in ("users", "items")}
    ids = [Vocabulary(columns(f"{ours}s")[0], f"{ours}_id") for ours in ("user", "item")]
    data = InteractionData(
        tables["train"], tables["valid"], tables["test"], *ids, test_disliked=tables.get(APART)
    )
    return data.with_extra_feedback(tables["extra_feedback"]) if with_extra else data


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
