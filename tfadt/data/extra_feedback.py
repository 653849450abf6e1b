"""Extra feedback D*: which true positives are known beyond the clicks (the paper's section 3.4).

Nothing of validation or test becomes known: a share is drawn of the training interactions alone, a column is read of them
alone, and a file's pairs that were split off to validation or test are left out and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfadt.config.ingest import Columns, IngestConfig
from tfadt.data.account import escaped
from tfadt.data.cleaning import DISLIKED_OF, KNOWN_OF, UNREADABLE_KNOWN_OF, Rules, clean, examine
from tfadt.data.database import Database
from tfadt.data.files import named_file
from tfadt.data.ids import PRIME, draw
from tfadt.data.pairs import DUPLICATE
from tfadt.data.readers import read_file
from tfadt.data.tables import Source
from tfadt.errors import ConfigError, DataError

COLUMN = "extra_feedback"


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
    return "sample" if rule != "none" and config.extra_feedback.share > 0 else "none"


def known(kind: str, config: IngestConfig) -> str:
    """Returns the expression of whether a training pair is known to be liked, as far as the log tells it."""
    if kind == "column":
        return f"({KNOWN_OF} AND NOT {DISLIKED_OF})"
    drawn = f"{draw('extra')} < {config.extra_feedback.share * PRIME:.0f}"
    return f"(NOT {DISLIKED_OF} AND {drawn})" if kind == "sample" else "false"


def add_extra_feedback(kind: str, config: IngestConfig, database: Database) -> dict[str, Any]:
    """Makes the table `extra` (`user_code`, `item_code`), and returns the account of it for the manifest.

    Args:
        kind: Where it comes from.
        config: Settings.
        database: Has the tables `parted`, `users`, `items` and `coded` (with `known`).

    Raises:
        DataError: If the file cannot be used, or names users, items or pairs that it may not.
    """
    if kind == "none":
        return {"source": "none"}
    account: dict[str, Any] = {"source": kind}
    if kind == "file":
        account |= _read_file(config, database)
    else:
        database.run("CREATE TABLE extra AS SELECT user_code, item_code FROM coded WHERE fate = 'train' AND known")
    if kind == "sample":
        account |= {"share": config.extra_feedback.share, "seed": config.extra_feedback.seed}
    if kind == "column":
        counts = database.records(
            f'SELECT count(*) FILTER ({UNREADABLE_KNOWN_OF}) AS "not 0 or 1", '
            f"count(*) FILTER ({KNOWN_OF} AND {DISLIKED_OF}) AS \"false positive\" FROM coded WHERE fate = 'train'"
        )[0]
        account["rejected"] = {why: count for why, count in counts.items() if count}
    pairs, users, clicks = database.run(
        "SELECT count(*), count(DISTINCT e.user_code), count(t.user_code) FROM extra AS e "
        "LEFT JOIN (SELECT user_code, item_code FROM coded WHERE fate = 'train') AS t USING (user_code, item_code)"
    )[0]
    train = database.run("SELECT count(*) FROM coded WHERE fate = 'train'")[0][0]
    return account | {
        "pairs": pairs,
        "users": users,
        "absent_from_clicks": pairs - clicks,
        "share_of_training": clicks / train,
    }


def _read_file(config: IngestConfig, database: Database) -> dict[str, Any]:
    settings = config.extra_feedback
    assert settings.file is not None
    columns = Columns(user=config.columns.user, item=config.columns.item)
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
    database.run(
        "CREATE TABLE named AS SELECT u.code AS user, i.code AS item, user_text, item_text "
        f"FROM (SELECT {', '.join(ids)} FROM ({rows.sql}) WHERE reason IS NULL) AS f "
        "LEFT JOIN all_users AS u ON f.user_id = u.id LEFT JOIN all_items AS i ON f.item_id = i.id",
        str(settings.file),
    )

    def drop(why: str, condition: str, more: str = "") -> None:
        database.run(f"CREATE OR REPLACE TABLE left_out AS SELECT rowid AS row FROM named AS n {more} WHERE {condition}")
        account.rejected[why] += database.run("SELECT count(*) FROM left_out")[0][0]
        database.run("DELETE FROM named WHERE rowid IN (SELECT row FROM left_out)")

    drop("in validation or test", "true", "SEMI JOIN (SELECT user, item FROM parted WHERE part > 0) AS p USING (user, item)")
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
    train = "SELECT user, item, key FROM parted WHERE part = 0"
    drop(
        "false positive", "true", f"SEMI JOIN (SELECT user, item FROM ({train}) WHERE {DISLIKED_OF}) AS d USING (user, item)"
    )
    drop(DUPLICATE, "rowid NOT IN (SELECT min(rowid) FROM named GROUP BY user, item)")
    absent = database.run(f"SELECT count(*) FROM named ANTI JOIN ({train}) USING (user, item)")[0][0]
    if absent and settings.on_absent == "refuse":
        raise DataError(
            f"{settings.file} holds {absent:,} pairs that are not among the training clicks. Expected clicks only; "
            "ingest.extra_feedback.on_absent = 'keep' takes them for positives all the same."
        )
    database.run(
        "CREATE TABLE extra AS SELECT u.code AS user_code, i.code AS item_code FROM named AS n "
        "JOIN users AS u ON n.user = u.all_code JOIN items AS i ON n.item = i.all_code"
    )
    account.rejected = +account.rejected
    kept = database.run("SELECT count(*) FROM extra")[0][0]
    return {"name": str(settings.file), "rows": {**account.summary(), "kept": kept}}
