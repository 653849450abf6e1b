"""The rows of a log, wherever they are read: what `build` asks of them, and the rows that this machine reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from tfadt.config.ingest import Columns, IngestConfig
from tfadt.data.cleaning import Account, Rules, clean, examine
from tfadt.data.database import Database
from tfadt.data.extra_feedback import COLUMN, kind_of_extra_feedback
from tfadt.data.feedback import choose_rule
from tfadt.data.pairs import merge
from tfadt.data.rejected import first_removed, samples_of_rows, write_rejected
from tfadt.data.splits import needs_time
from tfadt.data.tables import Source, missing_column
from tfadt.errors import ConfigError

Progress = Callable[[str], None]


class Log(ABC):
    """The rows of a log, or of three given splits, read and examined.

    Attributes:
        sources: What was read.
        rules: What decides about a row.
        accounts: The account of each source, before any pair is merged.
    """

    sources: Sequence[Source]
    rules: Rules
    accounts: Sequence[Account]

    @abstractmethod
    def merge(self) -> None:
        """Makes the tables of `pairs.merge_rows`, and puts the rows that lost their pair into the accounts."""

    @abstractmethod
    def most_common(self) -> list[tuple[float, float]]:
        """Returns the three most common values of the feedback, with the share of the rows that have each."""

    @abstractmethod
    def add_samples(self) -> None:
        """Puts number and text of the first rejected rows of each reason into the accounts."""

    @abstractmethod
    def write_rejected(self, path: Path) -> None:
        """Writes all rejected rows to a CSV file; see `rejected.write_rejected`."""


class LocalLog(Log):
    """A log that DuckDB reads on this machine.

    Args:
        sources: What is read.
        config: Settings.
        say: Called with one line at each step.
        database: Reads the sources.

    Raises:
        ConfigError: If settings contradict each other.
        DataError: If a source cannot be used.
    """

    def __init__(self, sources: Sequence[Source], config: IngestConfig, say: Progress, database: Database) -> None:
        self.sources, self._database = sources, database
        self.rules = rules_of(sources, config)
        self._rows, self.accounts = [], []
        for number, source in enumerate(sources):
            say(f"Checking {source.table.name}")
            self._rows.append(clean(source, number, self.rules, database))
            self.accounts.append(examine(self._rows[-1], self.rules, database))
        self._is_merged = False

    def merge(self) -> None:
        """Merges the rows of all sources by one statement."""
        merge(self._rows, self.accounts, self._database)
        self._is_merged = True

    def most_common(self) -> list[tuple[float, float]]:
        """Counts the values of all sources."""
        good = " UNION ALL ".join(f"SELECT number FROM ({rows.sql}) WHERE reason IS NULL" for rows in self._rows)
        return most_common(f"SELECT number, count(*) AS n FROM ({good}) GROUP BY number", self._database)

    def add_samples(self) -> None:
        """Looks the rows up in each source that has rejected ones."""
        removed = first_removed(self._database) if self._is_merged else {}
        for number, (account, rows) in enumerate(zip(self.accounts, self._rows, strict=True)):
            if account.rejected:
                account.samples = samples_of_rows(rows, removed.get(number, {}), self._database)

    def write_rejected(self, path: Path) -> None:
        """Looks them up in all sources."""
        write_rejected(path, self._rows, self._database)


def most_common(counts: str, database: Database) -> list[tuple[float, float]]:
    """Returns what `Log.most_common` does of a SELECT of `number` and `n`."""
    return database.run(f"SELECT number, n / sum(n) OVER () FROM ({counts}) ORDER BY n DESC, number LIMIT 3")


def rules_of(sources: Sequence[Source], config: IngestConfig) -> Rules:
    """Returns what decides about the rows of all sources.

    Raises:
        ConfigError: If settings contradict each other.
        DataError: If a source lacks a column.
    """
    is_log = sources[0].table.split is None
    if not is_log and max(config.min_user_interactions, config.min_item_interactions) > 1:
        raise ConfigError(
            "ingest.min_user_interactions and min_item_interactions choose among the rows of one log. Expected 1 for given "
            f"splits. Received: {config.min_user_interactions} and {config.min_item_interactions}."
        )
    rule = choose_rule(config.feedback, sources)
    with_time = is_log and needs_time(config.split)
    for source in sources:
        _check_columns(source, rule, with_time, config)
    return Rules(rule, with_time, config, kind_of_extra_feedback(sources, rule, config))


def _check_columns(source: Source, rule: str, with_time: bool, config: IngestConfig) -> None:
    """Raises DataError if a source lacks a column that the settings need beyond user and item."""
    columns = config.columns
    with_extra = source.table.split in (None, "train") and columns.extra_feedback != Columns().extra_feedback
    conditions = {rule: rule != "none", "timestamp": with_time, COLUMN: with_extra}
    for needed in (name for name, is_needed in conditions.items() if is_needed):
        if needed not in source.values:
            raise missing_column(needed, getattr(columns, needed), source.table.label, source.table.existing)
