"""Splits of one log into training, validation and test, in SQL over the tables that `ids.number_ids` makes."""

from __future__ import annotations

from tfadt.config.ingest import Split
from tfadt.data.cleaning import DISLIKED_OF, TIME_OF
from tfadt.data.database import Database
from tfadt.data.ids import draw
from tfadt.errors import ConfigError, DataError

_FEW = 100


def needs_time(config: Split) -> bool:
    """Returns whether the split goes by time."""
    return config.method != "random"


def check_shares(config: Split) -> None:
    """Raises ConfigError if validation and test leave nothing to training."""
    if config.method != "leave_last_out" and config.valid + config.test >= 1:
        raise ConfigError(
            f"ingest.split.valid + ingest.split.test must be below 1. Received: {config.valid} + {config.test}."
        )


def split_sql(config: Split, names: str, database: Database) -> str:
    """Returns a SELECT of the pairs with their split, `part`.

    Every user keeps at least one training pair under `random` and `leave_last_out`.

    Args:
        config: Method, shares and seed.
        names: What the log is called, for errors.
        database: Has the tables `pairs` and `all_users`, `all_items`.

    Raises:
        DataError: If the log has too few distinct times to be split by them.
    """
    if config.method == "time":
        return _by_time(config, names, database)
    return _leave_last_out(config) if config.method == "leave_last_out" else _random(config)


def _random(config: Split) -> str:
    # A share of a user's few rows is no whole number. To round the running total of the users, in an order by chance, tests
    # users with few interactions as well, and as many rows as were asked for, at least one to test.
    # In millionths, which add up exactly.
    def rounded(share: str, chance: str, table: str, name: str, least: int) -> str:
        shares = f"SELECT *, round(1000000 * {share})::BIGINT AS share FROM {table}"
        start = f"greatest(500000, {least * 1000000} - sum(share) OVER ())"
        sums = f"SELECT *, sum(share) OVER (ORDER BY {chance}, code) + {start} AS upto FROM ({shares})"
        return (
            f"SELECT * EXCLUDE (share, upto), (upto // 1000000 - (upto - share) // 1000000)::BIGINT AS {name} FROM ({sums})"
        )

    tested = rounded(f"least(n * {config.test}, n - 1)", "test_chance", "all_users", "tests", least=1)
    both = rounded(f"least(n * {config.valid}, n - 1 - tests)", "valid_chance", f"({tested})", "valids", least=0)
    users = f"SELECT code AS user, tests, least(tests + valids, n - 1) AS held_out FROM ({both})"
    places = (
        f"SELECT user, item, key, row_number() OVER (PARTITION BY user ORDER BY chance, item) AS place FROM ({_drawn()})"
    )
    part = "CASE WHEN place <= tests THEN 2 WHEN place <= held_out THEN 1 ELSE 0 END::TINYINT AS part"
    return f"SELECT user, item, key, {part} FROM ({places}) JOIN ({users}) USING (user)"


def keep_a_test_pair(clean_test: bool, database: Database) -> None:
    """Tests a pair that counts, where a log has one and chance drew a handful of pairs without one.

    Nothing is done where a test pair has its user and item in training, and is liked if the test is to be clean; nor for
    more than 100 test pairs, where that is no matter of chance. Else the first such pair by the draw is tested, and its
    user's and its item's other pairs are trained on.

    Args:
        clean_test: Whether disliked pairs of test do not count.
        database: Has the random split, `parted`, and the tables that it was made of.
    """
    counts = f"NOT {DISLIKED_OF}" if clean_test else "true"
    in_training = " AND ".join(f"{ours} IN (SELECT {ours} FROM parted WHERE part = 0)" for ours in ("user", "item"))
    tested = f"SELECT 1 FROM parted WHERE part = 2 AND {counts} AND {in_training} LIMIT 1"
    if database.run("SELECT count(*) FROM parted WHERE part = 2")[0][0] > _FEW or database.run(tested):
        return
    shared = f"SELECT user, item FROM ({_drawn()}) WHERE {counts} AND of_user > 1 AND of_item > 1"
    for user, item in database.run(f"{shared} ORDER BY chance, user, item LIMIT 1"):
        part = f"CASE WHEN user = {user} AND item = {item} THEN 2 ELSE 0 END"
        database.run(f"UPDATE parted SET part = {part} WHERE user = {user} OR item = {item}")


def _drawn() -> str:
    """Returns a SELECT of the pairs with a chance each, and how many pairs its user and its item have."""
    joined = "pairs AS p JOIN all_users AS u ON p.user = u.code JOIN all_items AS i ON p.item = i.code"
    counts = "u.n AS of_user, i.n AS of_item"
    return f"SELECT p.user, p.item, p.key, {draw('split')} AS chance, {counts} FROM {joined}"


def _leave_last_out(config: Split) -> str:
    places = f"row_number() OVER (PARTITION BY user ORDER BY {TIME_OF} DESC, chance, item) AS place"
    part = "CASE WHEN place = 1 AND n >= 2 THEN 2 WHEN place = 2 AND n >= 3 THEN 1 ELSE 0 END::TINYINT AS part"
    return (
        f"SELECT user, item, key, {part} FROM (SELECT user, item, key, {places} FROM ({_drawn()})) "
        "JOIN (SELECT code AS user, n FROM all_users) USING (user)"
    )


def _by_time(config: Split, names: str, database: Database) -> str:
    """Pairs of one time stay together; each border is where the share before it comes nearest to what is asked."""
    database.run(
        "CREATE OR REPLACE TABLE times AS SELECT time, row_number() OVER (ORDER BY time) AS place, "
        "sum(n) OVER (ORDER BY time) / sum(n) OVER () AS share "
        f"FROM (SELECT {TIME_OF} AS time, count(*) AS n FROM pairs GROUP BY time)"
    )
    count = database.run("SELECT count(*) FROM times")[0][0]
    parts = 3 if config.valid else 2
    if count < parts:
        raise DataError(
            f"{names} has {count} distinct times. Expected at least {parts} to split by time (ingest.split.method = 'time')."
        )

    def border(share: float, least: int, most: int) -> tuple[int, int]:
        allowed = f"SELECT time, place FROM times WHERE place BETWEEN {least} AND {most}"
        time, place = database.run(f"{allowed} ORDER BY abs(share - {share}), time LIMIT 1")[0]
        return time, place

    last_before_test, place = border(1 - config.test, parts - 1, count - 1)
    last_train = border(1 - config.test - config.valid, 1, place - 1)[0] if config.valid else last_before_test
    return (
        f"SELECT user, item, key, CASE WHEN {TIME_OF} <= {last_train} THEN 0 WHEN {TIME_OF} <= {last_before_test} THEN 1 "
        "ELSE 2 END::TINYINT AS part FROM pairs"
    )
