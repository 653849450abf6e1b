"""The artifact of ingest: one folder of Parquet columns, vocabularies and a manifest.

train.parquet valid.parquet test.parquet    user, item (int64 codes), false_positive (bool, if known)
users.parquet items.parquet                 id, in code order
manifest.json                               counts, the account of every row, source, content fingerprint
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.data.splits import NAMES
from tfadt.errors import DataError

MANIFEST = "manifest.json"


def fingerprint(data: InteractionData) -> str:
    """Returns the SHA-256 of the columns and vocabularies: equal content has an equal fingerprint wherever it lies."""
    digest = hashlib.sha256()
    for name in NAMES:
        split: Interactions = getattr(data, name)
        digest.update(f"{name}:{len(split)}:{split.false_positive is not None};".encode())
        digest.update(split.user.astype("<i8").tobytes() + split.item.astype("<i8").tobytes())
        if split.false_positive is not None:
            digest.update(split.false_positive.astype("u1").tobytes())
    for vocabulary in (data.users, data.items):
        digest.update(f"{vocabulary.ids.dtype.kind}:{len(vocabulary)};".encode())
        if vocabulary.ids.dtype.kind == "i":
            digest.update(vocabulary.ids.astype("<i8").tobytes())
        else:
            encoded = [str(i).encode() for i in vocabulary.ids]
            digest.update(np.array([len(e) for e in encoded], "<i8").tobytes() + b"".join(encoded))
    return digest.hexdigest()


def is_artifact(folder: Path) -> bool:
    """Returns whether a folder was written by `save`."""
    return (folder / MANIFEST).is_file()


def save(data: InteractionData, folder: Path) -> None:
    """Writes the artifact under a temporary name and renames it when it is whole; replaces an earlier artifact.

    Raises:
        DataError: If `folder` exists and is something else, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not is_artifact(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists and was not written by tfadt. Expected a new folder or an earlier artifact.")
    temporary = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name in NAMES:
            split: Interactions = getattr(data, name)
            columns = {"user": split.user, "item": split.item}
            if split.false_positive is not None:
                columns["false_positive"] = split.false_positive
            pd.DataFrame(columns).to_parquet(temporary / f"{name}.parquet", index=False)
        for name in ("users", "items"):
            pd.DataFrame({"id": getattr(data, name).ids}).to_parquet(temporary / f"{name}.parquet", index=False)
        (temporary / MANIFEST).write_text(json.dumps(data.manifest, indent=2, ensure_ascii=False) + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}.") from error


def load(folder: Path) -> InteractionData:
    """Reads an artifact and checks its fingerprint.

    Raises:
        DataError: If a file is missing or corrupt, or the content is not what the manifest says.
    """
    folder = Path(folder)
    if not is_artifact(folder):
        raise DataError(f"{folder} is not a folder written by `tfadt ingest`: it has no {MANIFEST}.")
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except ValueError as error:
        raise DataError(f"{folder / MANIFEST} is not JSON: {error}.") from error
    splits = {}
    for name in NAMES:
        frame = _read(folder / f"{name}.parquet", ("user", "item"))
        flags = frame["false_positive"].to_numpy(bool) if "false_positive" in frame.columns else None
        splits[name] = Interactions(frame["user"].to_numpy(np.int64), frame["item"].to_numpy(np.int64), flags)
    data = InteractionData(
        **splits,
        users=_vocabulary(folder / "users.parquet", "user_id"),
        items=_vocabulary(folder / "items.parquet", "item_id"),
        manifest=manifest,
    )
    expected, received = manifest.get("fingerprint"), fingerprint(data)
    if expected != received:
        raise DataError(
            f"{folder} was changed after it was written: its content does not match {MANIFEST}. Expected fingerprint "
            f"{expected}. Received: {received}."
        )
    return data


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"{path} is missing.")
    try:
        frame = pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from error
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise DataError(f"{path} has no column '{absent[0]}'. It has: {', '.join(map(str, frame.columns))}.")
    return frame


def _vocabulary(path: Path, name: str) -> Vocabulary:
    ids = _read(path, ("id",))["id"]
    return Vocabulary(ids.to_numpy(np.int64) if ids.dtype.kind in "iu" else ids.to_numpy(object), name)
