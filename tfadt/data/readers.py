"""Files and tables in memory -> sources, by format."""

from __future__ import annotations

from dataclasses import replace

from tfadt.config.ingest import IngestConfig
from tfadt.data.columnar import read_parquet
from tfadt.data.condition import apply_condition
from tfadt.data.database import Database, text
from tfadt.data.delimited import read_authors_file, read_delimited
from tfadt.data.files import File
from tfadt.data.json_objects import read_json
from tfadt.data.tables import Source, Table, use_columns


def read_file(file: File, config: IngestConfig, database: Database) -> Source:
    """Returns the columns of use of a file.

    Raises:
        DataError: If it is empty, not of its format, or lacks a column.
        ConfigError: If the settings do not fit the file.
    """
    if file.format == "parquet":
        table = read_parquet(file, database)
    elif file.format in ("json", "jsonl"):
        table = read_json(file, config, database)
    elif file.format == "adt":
        table = read_authors_file(file, config, database)
    else:
        table = read_delimited(file, config, database)
    return as_source(_with_partitions(table, file), config, database)


def as_source(table: Table, config: IngestConfig, database: Database) -> Source:
    """Returns the columns of use of a table, with the rows that `config.where` leaves out marked; raises as `read_file`."""
    if config.where is not None:
        table = apply_condition(table, config.where, database)
    return use_columns(table, config)


def _with_partitions(table: Table, file: File) -> Table:
    """Adds the columns that the file's folders tell, unless the file has them."""
    more = {name: value for name, value in file.partitions if name not in table.existing}
    if not more:
        return table
    added = ", ".join(f"{text(value)} AS __p{n}" for n, value in enumerate(more.values()))
    columns = {name: (f"__p{n}", "VARCHAR") for n, name in enumerate(more)}
    return replace(
        table,
        sql=f"SELECT *, {added} FROM ({table.sql})",
        columns={**table.columns, **columns},
        existing=[*table.existing, *more],
    )
