"""Numbers in place of ids, and draws that depend on ids and a seed alone.

A draw is a number in [0, 2^31 - 1) for each (user, item) pair: `(a_u * c_i + b_u) mod (2^31 - 1)` of digests (MD5) of the
user's and the item's id, a hash that is pairwise independent. Neither the order of rows nor the version of the database
changes it, and a digest is computed once an id instead of once a row.
"""

from __future__ import annotations

from tfadt.config.ingest import IngestConfig
from tfadt.data.database import Database

PRIME = 2**31 - 1


def number_ids(config: IngestConfig, database: Database) -> None:
    """Puts numbers in place of the ids of the table `pairs`.

    Makes the tables `all_users` and `all_items`: `id`, its number `code` in the order of the ids, how many pairs it has
    (`n`), and the digests of its draws.
    """
    seeds = {"split": config.split.seed, "extra": config.extra_feedback.seed}
    for ours in ("user", "item"):
        digests = []
        for purpose, seed in seeds.items():
            if ours == "item":
                digests.append(f"{_digest('lower', seed, purpose)} AS {purpose}_c")
            else:
                digests.append(
                    f"{_digest('lower', seed, purpose)} AS {purpose}_a, {_digest('upper', seed, purpose)} AS {purpose}_b"
                )
        if ours == "user":
            split = config.split.seed
            digests += [f"{_digest('lower', split, name)} / {float(PRIME)} AS {name}_chance" for name in ("test", "valid")]
        database.run(
            f"CREATE TABLE all_{ours}s AS SELECT id, (row_number() OVER (ORDER BY id) - 1)::INT AS code, n, "
            f"{', '.join(digests)} FROM (SELECT {ours} AS id, count(*) AS n FROM pairs GROUP BY {ours})"
        )
    database.run(
        "CREATE OR REPLACE TABLE pairs AS SELECT part, u.code AS user, i.code AS item, key, p.n "
        "FROM pairs AS p JOIN all_users AS u ON p.user = u.id JOIN all_items AS i ON p.item = i.id"
    )


def draw(purpose: str) -> str:
    """Returns the expression of a pair's draw, BIGINT, over `all_users` as `u` and `all_items` as `i`.

    Args:
        purpose: `"split"` or `"extra"`.
    """
    return f"((u.{purpose}_a * i.{purpose}_c + u.{purpose}_b) % {PRIME})"


def _digest(half: str, seed: int, purpose: str) -> str:
    return f"(md5_number_{half}(concat('{seed}/{purpose}/', id)) % {PRIME})::BIGINT"
