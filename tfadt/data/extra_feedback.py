"""Extra feedback: which clicks are known to be liked (D* of the paper's section 3.4), and which to be disliked.

It is drawn by share, or read from a column or a file, for the clicks of training and of validation. Nothing of the test
split becomes known, and D*, which models train on, is of training alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfadt.config.ingest import Columns, IngestConfig
from tfadt.data.account import escaped
from tfadt.data.cleaning import (
    DISLIKED_OF,
    KNOWN_DISLIKED_OF,
    KNOWN_LIKED_OF,
    UNREADABLE_KNOWN_OF,
    Rules,
    clean,
    examine,
)
from tfadt.data.database import Database
from tfadt.data.files import named_file
from tfadt.data.ids import PRIME, draw
from tfadt.data.pairs import DUPLICATE
from tfadt.data.readers import read_file
from tfadt.data.tables import Source
from tfadt.errors import ConfigError, DataError

COLUMN = "extra_feedback"
# Why a pair is left out: its own feedback says otherwise.
_DISLIKED, _LIKED = "false positive", "true positive"


def kind_of_extra_feedback(sources: Sequence[Source], rule: str, config: IngestConfig) -> str:
    """Returns `file`, `column`, `sample` or `none`: where extra feedback comes from.

    Raises:
        ConfigError: If a file is given beside a column.
    """
    column = any(COLUMN in source.values for source in sources if source.table.split in (None, "train"))
    if config.extra_feedback.file is not None:
        if column:
            raise ConfigError(
                f"Expected one source of extra feedback. Received: ingest.extra_feedback.file = "
                f"'{config.extra_feedback.file}' and the column '{config.columns.extra_feedback}' of the training data."
            )
        return "file"
    if column:
        return "column"
    return "sample" if rule != "none" and max(shares(config)) > 0 else "none"


def shares(config: IngestConfig) -> tuple[float, float]:
    """Returns the share of the training and of the validation interactions whose feedback a draw makes known."""
    settings = config.extra_feedback
    return settings.share, settings.share if settings.validation_share is None else settings.validation_share


def known(kind: str, rule: str, config: IngestConfig) -> str:
    """Returns the expression of what is known of a pair, as far as the log tells it: 1 liked, -1 disliked, 0 nothing."""
    if kind == "column":
        liked, disliked = _agreeing(KNOWN_LIKED_OF, KNOWN_DISLIKED_OF, rule)
        return f"CASE WHEN part = 2 THEN 0 WHEN {liked} THEN 1 WHEN {disliked} THEN -1 ELSE 0 END"
    if kind == "sample":
        bounds = " ".join(f"WHEN {part} THEN {share * PRIME:.0f}" for part, share in enumerate(shares(config)))
        drawn = f"{draw('extra')} < CASE part {bounds} ELSE 0 END"
        return f"CASE WHEN NOT ({drawn}) THEN 0 WHEN {DISLIKED_OF} THEN -1 ELSE 1 END"
    return "0"


def _agreeing(liked: str, disliked: str, rule: str) -> tuple[str, str]:
    """Returns two conditions, each with that the row's own feedback, if it has any, does not say otherwise."""
    return f"({liked} AND NOT {DISLIKED_OF})", f"({disliked} AND {DISLIKED_OF})" if rule != "none" else disliked


def add_extra_feedback(kind: str, rule: str, config: IngestConfig, database: Database) -> dict[str, Any]:
    """Makes the table `extra` of D* (`user_code`, `item_code`), and returns the account of it for the manifest.

    Args:
        kind: Where it comes from.
        rule: The feedback that tells a false positive.
        config: Settings.
        database: Has the tables `parted`, `users`, `items` and `coded`, whose `known` a file's pairs are put into.

    Raises:
        DataError: If the file cannot be used, or names users, items or pairs that it may not.
    """
    if kind == "none":
        return {"source": "none"}
    account: dict[str, Any] = {"source": kind}
    if kind == "file":
        account |= _read_file(rule, config, database)
    else:
        database.run("CREATE TABLE extra AS SELECT user_code, item_code FROM coded WHERE fate = 'train' AND known = 1")
    if kind == "sample":
        share, validation_share = shares(config)
        account |= {"share": share, "validation_share": validation_share, "seed": config.extra_feedback.seed}
    if kind == "column":
        account["rejected"] = _rejected_of_column(rule, database)
    pairs, users, clicks = database.run(
        "SELECT count(*), count(DISTINCT e.user_code), count(t.user_code) FROM extra AS e "
        "LEFT JOIN (SELECT user_code, item_code FROM coded WHERE fate = 'train') AS t USING (user_code, item_code)"
    )[0]
    signs = "count(*) FILTER (known = 1) AS liked, count(*) FILTER (known = -1) AS disliked"
    train, valid = (
        database.records(f"SELECT count(*) AS n, {signs} FROM coded WHERE fate = '{name}'")[0] for name in ("train", "valid")
    )
    return account | {
        "pairs": pairs,
        "users": users,
        "absent_from_clicks": pairs - clicks,
        "share_of_training": clicks / train["n"],
        "disliked": train["disliked"],
        "validation": {"liked": valid["liked"], "disliked": valid["disliked"]},
    }


def _rejected_of_column(rule: str, database: Database) -> dict[str, int]:
    conditions = {"not 0 or 1": UNREADABLE_KNOWN_OF, _DISLIKED: f"{KNOWN_LIKED_OF} AND {DISLIKED_OF}"}
    if rule != "none":
        conditions[_LIKED] = f"{KNOWN_DISLIKED_OF} AND NOT {DISLIKED_OF}"
    counts = ", ".join(f'count(*) FILTER ({condition}) AS "{why}"' for why, condition in conditions.items())
    found = database.records(f"SELECT {counts} FROM coded WHERE fate IN ('train', 'valid')")[0]
    return {why: count for why, count in found.items() if count}


def _read_file(rule: str, config: IngestConfig, database: Database) -> dict[str, Any]:
    settings = config.extra_feedback
    assert settings.file is not None
    columns = Columns(user=config.columns.user, item=config.columns.item, extra_feedback=config.columns.extra_feedback)
    config = config.model_copy(update={"columns": columns, "where": None, "format": "auto"})
    source = read_file(named_file(settings.file, config), config, database)
    rules = Rules("none", False, config)
    rows = clean(source, -1, rules, database)
    account = examine(rows, rules, database)
    ids = []
    for ours in ("user", "item"):
        integers = database.types(f"{ours}s", "training")["id"] == "BIGINT"
        text = f"coalesce(({rows.integer(ours)})::VARCHAR, {rows.text(ours)})"
        ids.append(f"{rows.integer(ours) if integers else rows.text(ours)} AS {ours}_id, {text} AS {ours}_text")
    sign = "CASE flags & 6 WHEN 2 THEN 1 WHEN 6 THEN -1 WHEN 4 THEN 4 ELSE 0 END" if COLUMN in source.values else "1"
    database.run(
        "CREATE TABLE named AS SELECT u.code AS user, i.code AS item, user_text, item_text, known "
        f"FROM (SELECT {', '.join(ids)}, {sign} AS known FROM ({rows.sql}) WHERE reason IS NULL) AS f "
        "LEFT JOIN all_users AS u ON f.user_id = u.id LEFT JOIN all_items AS i ON f.item_id = i.id",
        str(settings.file),
    )

    def drop(why: str, condition: str, more: str = "") -> None:
        database.run(f"CREATE OR REPLACE TABLE left_out AS SELECT rowid AS row FROM named AS n {more} WHERE {condition}")
        account.rejected[why] += database.run("SELECT count(*) FROM left_out")[0][0]
        database.run("DELETE FROM named WHERE rowid IN (SELECT row FROM left_out)")

    drop("not 0 or 1", "known = 4")
    drop("neither liked nor disliked", "known = 0")
    unseen = " OR ".join(f"{ours} NOT IN (SELECT all_code FROM {ours}s)" for ours in ("user", "item"))
    held_out = f"SELECT user, item FROM parted WHERE part = 2 OR (part = 1 AND ({unseen}))"
    drop("in test, or validation without training's user or item", "true", f"SEMI JOIN ({held_out}) AS p USING (user, item)")
    for ours in ("user", "item"):
        unknown = f"{ours} IS NULL OR {ours} NOT IN (SELECT all_code FROM {ours}s)"
        found = f"SELECT count(DISTINCT {ours}_text), arg_min({ours}_text, rowid) FROM named WHERE {unknown}"
        count, example = database.run(found)[0]
        if count and settings.on_unknown == "refuse":
            size = database.run(f"SELECT count(*) FROM {ours}s")[0][0]
            raise DataError(
                f"{settings.file} names {count:,} {ours}s that training does not have. Expected training's "
                f"{size:,} {ours}s; ingest.extra_feedback.on_unknown = 'drop' leaves others out. "
                f"Received, for example: {escaped(example)}."
            )
        drop(f"{ours} unseen in training", unknown)
    clicks = "SELECT user, item, key, part FROM parted WHERE part < 2"
    drop(
        "both liked and disliked",
        "(user, item) IN (SELECT (user, item) FROM named GROUP BY user, item HAVING count(DISTINCT known) = 2)",
    )
    of_pair = f"JOIN ({clicks}) AS c USING (user, item)"
    drop(_DISLIKED, f"known = 1 AND {DISLIKED_OF}", of_pair)
    if rule != "none":
        drop(_LIKED, f"known = -1 AND NOT {DISLIKED_OF}", of_pair)
    drop(DUPLICATE, "rowid NOT IN (SELECT min(rowid) FROM named GROUP BY user, item)")
    drop("disliked, and no click", "known = -1", f"ANTI JOIN ({clicks}) AS c USING (user, item)")
    absent = database.run(f"SELECT count(*) FROM named ANTI JOIN ({clicks}) USING (user, item)")[0][0]
    if absent and settings.on_absent == "refuse":
        raise DataError(
            f"{settings.file} holds {absent:,} pairs that are not among the training clicks. Expected clicks only; "
            "ingest.extra_feedback.on_absent = 'keep' takes them for positives all the same."
        )
    database.run(
        "CREATE OR REPLACE TABLE named AS SELECT u.code AS user_code, i.code AS item_code, known FROM named AS n "
        "JOIN users AS u ON n.user = u.all_code JOIN items AS i ON n.item = i.all_code"
    )
    of_validation = "ANTI JOIN (FROM coded WHERE fate = 'valid') USING (user_code, item_code)"
    database.run(f"CREATE TABLE extra AS SELECT user_code, item_code FROM named {of_validation} WHERE known = 1")
    database.run(
        "UPDATE coded SET known = n.known FROM named AS n WHERE coded.user_code = n.user_code "
        "AND coded.item_code = n.item_code AND coded.fate IN ('train', 'valid')"
    )
    account.rejected = +account.rejected
    kept = database.run("SELECT count(*) FROM named")[0][0]
    return {"name": str(settings.file), "rows": {**account.summary(), "kept": kept}}
