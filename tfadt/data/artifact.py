"""The folder that ingest writes and every later stage reads.

Layout: `train.parquet`, `valid.parquet`, `test.parquet` (`user`, `item`: int64 codes; `false_positive`,
`known_positive`, `known_negative`: bool, if known), `extra_feedback.parquet`, `test_disliked.parquet` (`user`, `item`; if
there are any), `users.parquet`, `items.parquet` (`id`, in code order), `manifest.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from tfadt.atomic import replace_folder, temporary_folder
from tfadt.data.interactions import FLAGS, InteractionData, Interactions, Vocabulary
from tfadt.errors import DataError

SCHEMA = 4
MANIFEST = "manifest.json"
_SPLITS = ("train", "valid", "test")
_OPTIONAL = ("extra_feedback", "test_disliked")
_KINDS = {pa.int64(): "int64", pa.bool_(): "bool", pa.large_string(): "text"}
_VOCABULARIES = {"users": "user_id", "items": "item_id"}


def is_artifact(folder: Path) -> bool:
    """Returns whether `folder` is one that `save` wrote."""
    # Unlike Path.is_file, this is False for a name that the file system does not accept.
    return os.path.isfile(folder / MANIFEST)


def fingerprint(data: InteractionData) -> str:
    """Returns the SHA-256 (hex) of every column and id; equal data have equal fingerprints, wherever they came from."""
    digest = hashlib.sha256()
    for name in _tables(data):
        split = getattr(data, name)
        flags = _flags(split)
        digest.update(f"{name} {len(split)} {' '.join(flags)};".encode())
        digest.update(np.ascontiguousarray(split.user, "<i8").data)
        digest.update(np.ascontiguousarray(split.item, "<i8").data)
        for values in flags.values():
            digest.update(np.ascontiguousarray(values, np.bool_).data)
    for name in _VOCABULARIES:
        ids = getattr(data, name).ids
        if ids.dtype.kind == "i":
            digest.update(f"{name} {len(ids)} integers;".encode())
            digest.update(np.ascontiguousarray(ids, "<i8").tobytes())
        else:
            encoded = [text.encode() for text in ids]
            digest.update(f"{name} {len(ids)} texts;".encode())
            digest.update(np.array([len(text) for text in encoded], "<i8").tobytes())
            digest.update(b"".join(encoded))
    return digest.hexdigest()


def save(data: InteractionData, folder: Path) -> None:
    """Writes the folder under a temporary name and renames it when it is complete; an earlier one is replaced.

    Raises:
        DataError: If `folder` is a file or a folder with other content, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not _may_be_replaced(folder):
        raise DataError(f"{folder} exists and was not written by ingest. Expected a new name, or a folder to replace.")
    try:
        with temporary_folder(folder.parent, f".{folder.name}.") as temporary:
            _write(data, temporary / "new")
            replace_folder(temporary / "new", folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}.") from error


def load(folder: Path) -> InteractionData:
    """Reads a folder written by `save` and checks its content against the fingerprint.

    Raises:
        DataError: If a file is missing or corrupt, the version is another one, or the content has changed.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    train, valid, test = (_read_split(folder / f"{name}.parquet") for name in _SPLITS)
    users, items = (_read_vocabulary(folder / f"{name}.parquet", column) for name, column in _VOCABULARIES.items())
    extra, disliked = (_read_split(path) if (path := folder / f"{name}.parquet").is_file() else None for name in _OPTIONAL)
    data = InteractionData(train, valid, test, users, items, manifest, extra_feedback=extra, test_disliked=disliked)
    found = fingerprint(data)
    if found != manifest.get("fingerprint"):
        raise DataError(
            f"The content of {folder} is not what {MANIFEST} describes: it was changed or damaged. Expected the "
            f"fingerprint {manifest.get('fingerprint')}. Received: {found}."
        )
    return data


def _may_be_replaced(folder: Path) -> bool:
    """Returns whether a folder is empty or holds exactly what `save` writes: many programs have a manifest.json."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else None
    always = {MANIFEST, *(f"{name}.parquet" for name in (*_SPLITS, *_VOCABULARIES))}
    return names is not None and (not names or names - {f"{name}.parquet" for name in _OPTIONAL} == always)


def _tables(data: InteractionData) -> tuple[str, ...]:
    return (*_SPLITS, *(name for name in _OPTIONAL if getattr(data, name) is not None))


def _flags(split: Interactions) -> dict[str, np.ndarray]:
    """Returns what is known of the interactions, by name."""
    return {name: flags for name in FLAGS if (flags := getattr(split, name)) is not None}


def _write(data: InteractionData, folder: Path) -> None:
    folder.mkdir()
    for name in _tables(data):
        split = getattr(data, name)
        columns = {"user": split.user, "item": split.item, **_flags(split)}
        pa_parquet.write_table(pa.table(columns), folder / f"{name}.parquet")
    for name in _VOCABULARIES:
        ids = getattr(data, name).ids
        kind = pa.int64() if ids.dtype.kind == "i" else pa.large_string()
        pa_parquet.write_table(pa.table({"id": pa.array(ids, kind)}), folder / f"{name}.parquet")
    text = json.dumps(data.manifest, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{path} does not exist. Expected a folder written by ingest.")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not readable JSON: {error}.") from error
    is_ours = isinstance(manifest, dict)
    received = manifest.get("schema") if is_ours else type(manifest).__name__
    if received != SCHEMA:
        log = manifest.get("source", {}).get("name") if is_ours else "unknown"
        raise DataError(
            f"{path} is of another version of tfadt. Expected schema {SCHEMA}. Received: {received}. Make it anew from its "
            f"log ({log}): tfadt ingest --data LOG --out {shlex.quote(str(folder))}"
        )
    return manifest


def _read_split(path: Path) -> Interactions:
    table = _read_table(path, {"user": "int64", "item": "int64"})
    flags = {name: table[name].to_numpy() for name in FLAGS if name in table.column_names}
    return Interactions(table["user"].to_numpy(), table["item"].to_numpy(), **flags)


def _read_vocabulary(path: Path, name: str) -> Vocabulary:
    ids = _read_table(path, {"id": "int64 or text"})["id"]
    return Vocabulary(ids.to_numpy() if pa.types.is_int64(ids.type) else ids.to_numpy().astype(object), name)


def _read_table(path: Path, expected: dict[str, str]) -> pa.Table:
    if not path.is_file():
        raise DataError(f"{path} does not exist. Expected a folder written by ingest.")
    try:
        table = pa_parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged: {(str(error).splitlines() or ['unknown reason'])[0]}") from error
    kinds = {name: _KINDS.get(table[name].type) for name in table.column_names}
    for name, kind in expected.items():
        if (kinds.get(name) or "none") not in kind or table[name].null_count:
            raise DataError(f"{path}: expected a column '{name}' of {kind}. Received: {table.schema.to_string()}.")
    for name in FLAGS:
        if name in kinds and (kinds[name] != "bool" or table[name].null_count):
            raise DataError(f"{path}: expected a column '{name}' of bool. Received: {table.schema.to_string()}.")
    return table
