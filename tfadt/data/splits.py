"""Splits of one log into training, validation and test, in SQL over the table `pairs` (`user`, `item`, `key`)."""

from __future__ import annotations

from tfadt.config.ingest import Split
from tfadt.data.cleaning import TIME_OF
from tfadt.data.database import Database
from tfadt.errors import ConfigError, DataError

TRAIN, VALID, TEST = 0, 1, 2
_RANGE = 2.0**64


def needs_time(config: Split) -> bool:
    """Returns whether the split goes by time."""
    return config.method != "random"


def check_shares(config: Split) -> None:
    """Raises ConfigError if validation and test leave nothing to training."""
    if config.method != "leave_last_out" and config.valid + config.test >= 1:
        raise ConfigError(
            f"ingest.split.valid + ingest.split.test must be below 1. Received: {config.valid} + {config.test}."
        )


def chance(seed: int, *names: str) -> str:
    """Returns the expression of a number in [0, 1) that depends on a seed and the values of columns alone.

    It is a digest (MD5), so that neither the order of rows nor the version of the database changes it.
    """
    values = ", '/', ".join(f"{name}::VARCHAR" for name in names)
    return f"(md5_number_lower(concat('{seed}/', {values})) / {_RANGE:.1f})"


def split_sql(config: Split, names: str, database: Database) -> str:
    """Returns a SELECT of the pairs with their split, `part`.

    Every user keeps at least one training pair under `random` and `leave_last_out`.

    Args:
        config: Method, shares and seed.
        names: What the log is called, for errors.
        database: Has the table `pairs`.

    Raises:
        DataError: If the log has too few distinct times to be split by them.
    """
    if config.method == "time":
        return _by_time(config, names, database)
    return _leave_last_out(config) if config.method == "leave_last_out" else _random(config)


def _random(config: Split) -> str:
    # Shares of a few rows are rounded by chance, or users with few interactions would never be tested.
    tests = f"least(floor(n * {config.test} + {chance(config.seed, 'user', chr(39) + 'test' + chr(39))}), n - 1)"
    valids = f"floor(n * {config.valid} + {chance(config.seed, 'user', chr(39) + 'valid' + chr(39))})"
    return (
        "SELECT user, item, key, CASE WHEN place <= tests THEN 2 WHEN place <= tests + least(valids, n - 1 - tests) THEN 1 "
        f"ELSE 0 END AS part FROM (SELECT *, {tests} AS tests, {valids} AS valids FROM (SELECT user, item, key, "
        "count(*) OVER (PARTITION BY user) AS n, row_number() OVER (PARTITION BY user ORDER BY chance, item) AS place "
        f"FROM (SELECT user, item, key, md5_number_lower(concat('{config.seed}/', user, '/', item)) AS chance FROM pairs)))"
    )


def _leave_last_out(config: Split) -> str:
    order = f"{TIME_OF} DESC, md5_number_lower(concat('{config.seed}/', user, '/', item)), item"
    return (
        "SELECT user, item, key, CASE WHEN place = 1 AND n >= 2 THEN 2 WHEN place = 2 AND n >= 3 THEN 1 ELSE 0 END AS part "
        "FROM (SELECT user, item, key, count(*) OVER (PARTITION BY user) AS n, "
        f"row_number() OVER (PARTITION BY user ORDER BY {order}) AS place FROM pairs)"
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
        return database.run(  # type: ignore[return-value]
            f"SELECT time, place FROM times WHERE place BETWEEN {least} AND {most} ORDER BY abs(share - {share}), time LIMIT 1"
        )[0]

    last_before_test, place = border(1 - config.test, parts - 1, count - 1)
    last_train = border(1 - config.test - config.valid, 1, place - 1)[0] if config.valid else last_before_test
    return (
        f"SELECT user, item, key, CASE WHEN {TIME_OF} <= {last_train} THEN 0 WHEN {TIME_OF} <= {last_before_test} THEN 1 "
        "ELSE 2 END AS part FROM pairs"
    )
