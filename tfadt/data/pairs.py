"""Second pass: rows -> one row a pair, the splits, and what becomes of each pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tfadt.config.ingest import IngestConfig
from tfadt.data.cleaning import DISLIKED_OF, FILE_OF, NO_TIME, PLACE_OF, SAMPLE_ROWS, TIME_OF, UNTIMED, Account, Rows
from tfadt.data.database import Database
from tfadt.data.files import SPLITS
from tfadt.data.splits import keep_a_test_pair, split_sql
from tfadt.data.tables import Source
from tfadt.errors import DataError

DUPLICATE = "duplicate pair"
APART = "test_disliked"
"""Where the disliked pairs of a clean test go."""
# So many inputs are read by one statement.
_AT_ONCE = 64


def merge(rows: Sequence[Rows], accounts: Sequence[Account], database: Database) -> None:
    """Makes the tables of `merge_rows` of the rows of each source, and puts those that lost their pair into the accounts."""
    integers = {ours: all_integers(ours, accounts) for ours in ("user", "item")}
    untimed = any(account.untimed for account in accounts)
    selects = []
    for number, source in enumerate(rows):
        ids = ", ".join(f"{_id(source, o, integers[o], accounts[number])} AS {o}" for o in ("user", "item"))
        selects.append(
            f"SELECT {part_of(source.source)} AS part, {ids}, {source.key(number)} AS key "
            f"FROM ({source.sql}) WHERE reason IS NULL"
        )
    sources = [source.source for source in rows]
    names = ", ".join(source.table.name for source in sources[:3]) + (", ..." if len(sources) > 3 else "")
    merge_rows(selects, untimed, names, database)
    account_duplicates(accounts, database)
    repeating = [select for select, account in zip(selects, accounts, strict=True) if account.rejected[DUPLICATE]]
    if repeating:
        find_duplicates(repeating, database)


def merge_rows(selects: Sequence[str], untimed: bool, names: str, database: Database) -> None:
    """Makes the table `pairs` (`part`, `user`, `item`, `key`, `n` rows), each pair once: its latest row.

    Without times, or at equal ones, the last row counts. Where a pair has several rows, those without a readable time are
    rejected, since it cannot be told which is the latest. The table `removed` (`key`, `why`) takes the rows that are
    rejected from here on; `duplicates` (`place`) is for the first rows of each source that lost their pair.

    Args:
        selects: SELECTs of `part`, `user`, `item`, `key`: the rows.
        untimed: Whether rows may have no time.
        names: What they are called, for errors.
        database: Reads them.
    """
    timed = f"count(*) FILTER ({TIME_OF} = {UNTIMED})" if untimed else "0"
    grouped = f"max(key) AS key, count(*)::UINTEGER AS n, {timed}::UINTEGER AS untimed"
    batches = [selects[start : start + _AT_ONCE] for start in range(0, len(selects), _AT_ONCE)]
    for number, batch in enumerate(batches):
        head = "CREATE OR REPLACE TABLE pairs AS" if number == 0 else "INSERT INTO pairs"
        database.run(f"{head} SELECT part, user, item, {grouped} FROM ({' UNION ALL '.join(batch)}) GROUP BY ALL", names)
    if len(batches) > 1:
        sums = "max(key) AS key, sum(n)::UINTEGER AS n, sum(untimed)::UINTEGER AS untimed"
        database.run(f"CREATE OR REPLACE TABLE pairs AS SELECT part, user, item, {sums} FROM pairs GROUP BY ALL", names)
    database.run("CREATE TABLE removed (key HUGEINT, why VARCHAR)")
    database.run("CREATE TABLE duplicates (place BIGINT)")
    if untimed:
        mixed = "SELECT part, user, item FROM pairs WHERE n > 1 AND untimed > 0"
        for select in selects:
            lost = f"SELECT key, '{NO_TIME}' FROM ({select}) SEMI JOIN ({mixed}) USING (part, user, item)"
            database.run(f"INSERT INTO removed {lost} WHERE {TIME_OF} = {UNTIMED}", names)
        database.run("DELETE FROM pairs WHERE n > 1 AND n = untimed")


def find_duplicates(selects: Sequence[str], database: Database) -> None:
    """Fills the table `duplicates` with the first rows of each source, among those selected, that lost their pair."""
    # A table of its own, so that the database knows how few they are and looks them up rather than the rows.
    database.run("CREATE TEMP TABLE repeated AS SELECT part, user, item, key AS latest FROM pairs WHERE n > 1")
    for select in selects:
        lost = f"FROM ({select}) JOIN repeated USING (part, user, item) WHERE key <> latest AND {TIME_OF} <> {UNTIMED}"
        database.run(
            f"INSERT INTO duplicates SELECT unnest(min({PLACE_OF}, {SAMPLE_ROWS})) {lost} GROUP BY {FILE_OF}",
        )
    database.run("DROP TABLE repeated")


def account_duplicates(accounts: Sequence[Account], database: Database) -> None:
    """Puts how many rows of each source lost their pair into the accounts."""
    counts = dict(
        database.run(f"SELECT {FILE_OF}, count(*) FROM (FROM pairs SELECT key UNION ALL FROM removed SELECT key) GROUP BY 1")
    )
    for number, account in enumerate(accounts):
        if repeated := account.kept - counts.get(number, 0):
            account.rejected[DUPLICATE] = repeated


def all_integers(ours: str, accounts: Sequence[Account]) -> bool:
    """Returns whether the ids of all sources, of `user` or `item`, are integers."""
    return all(account.integers.get(ours, True) for account in accounts)


def part_of(source: Source) -> str:
    """Returns the number, TINYINT, of the split that a source is; 0 of a log."""
    split = source.table.split
    return f"{SPLITS.index(split) if split else 0}::TINYINT"


def _id(rows: Rows, ours: str, is_integer: bool, account: Account) -> str:
    """Returns the expression of an id; integers that are all written the plain way need no second look."""
    if not is_integer:
        return rows.text(ours)
    return rows.integer(ours) if account.decimals.get(ours) else f"{ours}::BIGINT"


def keep_core(config: IngestConfig, database: Database) -> None:
    """Leaves out users and items with too few interactions, until none has too few."""
    least = {"user": config.min_user_interactions, "item": config.min_item_interactions}
    before = -1
    while before != (before := database.run("SELECT count(*) FROM pairs")[0][0]):
        for ours, few in least.items():
            rare = f"{ours} IN (SELECT {ours} FROM pairs GROUP BY {ours} HAVING count(*) < {few})"
            if few > 1:
                why = f"{ours} with fewer than {few} interactions"
                database.run(f"INSERT INTO removed SELECT key, '{why}' FROM pairs WHERE {rare}")
                database.run(f"DELETE FROM pairs WHERE {rare}")


def split(config: IngestConfig, names: str, is_log: bool, on_overlap: str, database: Database) -> None:
    """Makes the table `parted` (`user`, `item`, `key`, `part`) of a log, or of given splits that share no pair."""
    if is_log:
        database.run(f"CREATE TABLE parted AS {split_sql(config.split, names, database)}")
        if config.split.method == "random":
            keep_a_test_pair(config.clean_test, database)
        return
    couples = (
        "SELECT a.part AS first, b.part AS second, b.user, b.item, b.key "
        "FROM pairs AS a JOIN pairs AS b USING (user, item) WHERE a.part < b.part"
    )
    shared = database.run(f"SELECT first, second, count(*) FROM ({couples}) GROUP BY ALL ORDER BY ALL")
    if shared and on_overlap == "refuse":
        listed = ", ".join(f"{SPLITS[first]} and {SPLITS[second]}: {count}" for first, second, count in shared)
        raise DataError(
            f"The given splits share (user, item) pairs, which makes the test meaningless ({listed}). Expected none; "
            "ingest.on_overlap = 'drop_from_test' removes them from the later split."
        )
    # A pair in all three is in training alone.
    lost = (
        f"SELECT second, user, item, min(first) AS first, any_value(key) AS key FROM ({couples}) GROUP BY second, user, item"
    )
    label = "CASE {} WHEN 0 THEN 'train' WHEN 1 THEN 'valid' ELSE 'test' END"
    why = f"{label.format('second')} || ': pair also in ' || {label.format('first')}"
    database.run(f"INSERT INTO removed SELECT key, {why} FROM ({lost})")
    database.run("CREATE TABLE parted AS SELECT user, item, key, part FROM pairs ANTI JOIN removed USING (key)")


def encode(clean_test: bool, known: str, database: Database) -> Counter[str]:
    """Makes the tables `users` and `items` of training, and `coded`.

    `users` and `items` have `id`, `code` and `all_code`, the number among all of the log; `coded` has `user_code`,
    `item_code`, `key`, `known` and `fate`, the split.

    Args:
        clean_test: Whether the disliked pairs of test are set apart.
        known: Expression of what is known of a training or validation pair: 1 liked, -1 disliked, 0 nothing.
        database: Has the table `parted`.

    Returns:
        Kept pairs by split; those set apart are `test_disliked`.
    """
    for ours in ("user", "item"):
        # The numbers are in the order of the ids, with gaps where training lacks one.
        database.run(
            f"CREATE TABLE {ours}s AS SELECT * REPLACE (row_number() OVER (ORDER BY code) - 1 AS code), code AS all_code "
            f"FROM all_{ours}s SEMI JOIN (SELECT {ours} AS code FROM parted WHERE part = 0) USING (code)"
        )
    part = "CASE part WHEN 0 THEN 'train' WHEN 1 THEN 'valid' ELSE 'test' END"
    fate = f"CASE WHEN part = 2 AND {DISLIKED_OF} THEN '{APART}' ELSE {part} END" if clean_test else part
    database.run(
        "CREATE TABLE coded AS SELECT u.code AS user_code, i.code AS item_code, key, "
        f"({known})::TINYINT AS known, {fate} AS fate "
        "FROM parted AS p JOIN users AS u ON p.user = u.all_code JOIN items AS i ON p.item = i.all_code"
    )
    missing = "CASE WHEN u.code IS NULL THEN 'user' ELSE 'item' END"
    database.run(
        f"INSERT INTO removed SELECT key, {part} || ': ' || {missing} || ' unseen in training' FROM "
        "(FROM parted WHERE part > 0) AS p LEFT JOIN users AS u ON p.user = u.all_code "
        "LEFT JOIN items AS i ON p.item = i.all_code WHERE u.code IS NULL OR i.code IS NULL"
    )
    fates = database.run("SELECT fate, count(*) FROM coded GROUP BY fate")
    kept: Counter[str] = Counter(dict.fromkeys((*SPLITS, APART) if clean_test else SPLITS, 0))
    kept.update(dict(fates))
    return kept


def account_removed(accounts: Sequence[Account], database: Database) -> None:
    """Puts what was removed since the first pass into the accounts."""
    for number, why, count in database.run(f"SELECT {FILE_OF}, why, count(*) FROM removed GROUP BY ALL"):
        accounts[number].rejected[why] += count
