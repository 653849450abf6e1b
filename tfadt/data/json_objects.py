"""JSON: one object a line, or one array of objects; only the fields asked for are looked at."""

from __future__ import annotations

from collections.abc import Sequence

from tfadt.config.ingest import Columns, IngestConfig
from tfadt.data.database import Database, text
from tfadt.data.files import File
from tfadt.data.lines import MAX_LINE_BYTES, blank_as_none, first_text, read_lines
from tfadt.data.tables import ALTERNATIVES, Table
from tfadt.errors import DataError

BROKEN = "not a JSON object"
_SAMPLE = 1000


def read_json(file: File, config: IngestConfig, database: Database) -> Table:
    """Returns the objects of a file; a value that is a list or an object is missing.

    Raises:
        DataError: If none of its lines is an object, or it is an array that is broken.
    """
    lines = None if file.format == "json" and _is_array(file) else read_lines(file, config.encoding, database)
    records, number = (blank_as_none(lines.sql), "") if lines else (_array(file, database), "__line, ")
    names = _names(records, config.columns, file, database)
    columns = {theirs: (f"__c{n}", "VARCHAR") for n, theirs in enumerate(names, 1)}
    sql = objects_sql(records, names, number)
    return Table(file.path.name, sql, columns, names, "jsonl", file.split, str(file.path), lines=lines)


def objects_sql(lines: str, names: Sequence[str], line: str = "") -> str:
    """Returns a SELECT of `__text`, `__defect` and the values `__c1`, `__c2`, ... of lines.

    Args:
        lines: A SELECT of `__text` and `__defect`.
        names: Keys, or paths of nested ones (`user.id`).
        line: Columns of `lines` that are kept, each followed by a comma.
    """
    # A key with dots comes before the path that it could mean.
    selected = ", ".join(f"{_scalar(f'f[{2 * n - 1}]', f'f[{2 * n}]')} AS __c{n}" for n in range(1, len(names) + 1))
    return (
        f"SELECT {line}__text, CASE WHEN __defect IS NOT NULL THEN __defect WHEN f IS NULL THEN '{BROKEN}' END AS __defect, "
        f"{selected} FROM (SELECT *, {_values(names)} AS f FROM ({lines}))"
    )


def _is_array(file: File) -> bool:
    return first_text(file).lstrip().startswith(b"[")


def _array(file: File, database: Database) -> str:
    compression = "" if file.compression == "none" else f", compression = '{file.compression}'"
    options = f"format = 'array', maximum_object_size = {MAX_LINE_BYTES}{compression}"
    call = f"read_json_objects({database.link(file.path)}, {options})"
    database.run(f"SELECT count(*) FROM {call}", f"{file.path}, one JSON array,")
    return f"SELECT row_number() OVER () AS __line, json::VARCHAR AS __text, NULL::VARCHAR AS __defect FROM {call}"


def _values(names: Sequence[str]) -> str:
    """Returns the expression of the values as JSON, two for each name: by the key, and by the path; NULL if no object."""
    paths = ", ".join(text(path) for name in names for path in (_key(name), _path(name)))
    return f"CASE WHEN TRY(json_type(__text)) = 'OBJECT' THEN json_extract(__text, [{paths}]) END"


def _key(name: str) -> str:
    return '$."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _path(name: str) -> str:
    return "$" + "".join(_key(part)[1:] for part in name.split("."))


def _scalar(by_key: str, by_path: str) -> str:
    value = by_key if by_key == by_path else f"coalesce({by_key}, {by_path})"
    plain = f"{value}::VARCHAR"
    return (
        f"CASE WHEN starts_with({plain}, '\"') THEN TRY(json_extract_string({value}, '$')) "
        f"WHEN {plain} = 'true' THEN '1' WHEN {plain} = 'false' THEN '0' "
        f"WHEN {plain} <> 'null' AND NOT starts_with({plain}, '{{') AND NOT starts_with({plain}, '[') THEN {plain} END"
    )


def _names(records: str, columns: Columns, file: File, database: Database) -> list[str]:
    """Returns the keys of the first objects, and those of our columns that any object has."""
    known = [name for names in ALTERNATIVES.values() for name in names]
    wanted = list(dict.fromkeys([*columns.model_dump().values(), *Columns().model_dump().values(), *known]))
    there = ", ".join(f"bool_or(f[{2 * n - 1}] IS NOT NULL OR f[{2 * n}] IS NOT NULL)" for n in range(1, len(wanted) + 1))
    found = database.run(
        f"SELECT count(__text), count(f), {there} FROM (SELECT __text, {_values(wanted)} AS f FROM ({records}))",
        str(file.path),
    )[0]
    if not found[1]:
        raise DataError(f"{file.path}: none of its {found[0]} lines is a JSON object. Expected one object a line.")
    keys = database.run(
        "SELECT DISTINCT unnest(json_keys(__text)) FROM "
        f"(SELECT __text FROM ({records}) WHERE TRY(json_type(__text)) = 'OBJECT' LIMIT {_SAMPLE})",
        str(file.path),
    )
    used = [name for name, is_there in zip(wanted, found[2:], strict=True) if is_there]
    return list(dict.fromkeys([*used, *sorted(key for (key,) in keys if "\0" not in key)]))
