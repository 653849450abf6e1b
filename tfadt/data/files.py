"""The files that a configuration names: one by one, as folders, patterns and partitions, each with its format."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from tfadt.config.ingest import DATE, IngestConfig
from tfadt.errors import ConfigError, DataError

SPLITS = ("train", "valid", "test")
AUTHORS = {"train": ".train.rating", "valid": ".valid.rating", "test": ".test.negative"}
"""How the three files of the method's authors end."""

_FORMATS = {
    **{".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".inter": "tsv", ".parquet": "parquet"},
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"},
    **dict.fromkeys(AUTHORS.values(), "adt"),
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_PANDAS = 'python -c "import pandas; pandas.{reader}({source}).to_parquet({target})"'
# What is refused with the line that converts it.
_CONVERSIONS = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), _PANDAS.replace("{reader}", "read_excel")),
    **dict.fromkeys((".pkl", ".pickle"), _PANDAS.replace("{reader}", "read_pickle")),
    **dict.fromkeys((".feather", ".arrow"), _PANDAS.replace("{reader}", "read_feather")),
    **{".zip": "unzip {quoted}", ".bz2": "bunzip2 --keep {quoted}", ".xz": "xz --decompress --keep {quoted}"},
}
_COPIES = {"s3": "aws s3 cp {} .", "gs": "gcloud storage cp {} .", "hdfs": "hdfs dfs -get {}"}
_REMOTE = re.compile(r"[a-z][a-z0-9+]+:/")
_PARTITION = re.compile(r"([^=]+)=(.*)")


@dataclass(frozen=True)
class File:
    """One file of a log.

    Attributes:
        path: Where it is.
        split: The split that it is, or None for a log that is to be split.
        format: `csv`, `tsv`, `parquet`, `jsonl`, `json` or `adt`.
        compression: `none`, `gzip` or `zstd`.
        partitions: Columns that its folders tell (`country=NO`), with their value.
    """

    path: Path
    split: str | None
    format: str
    compression: str
    partitions: tuple[tuple[str, str], ...] = ()


def source_kind(config: IngestConfig) -> str:
    """Returns `"data"`, `"splits"`, `"dataset"` or `"simulate"` (also when nothing is named).

    Raises:
        ConfigError: If two sources are named, or only some of train, valid and test.
    """
    given = [name for name in SPLITS if getattr(config, name) is not None]
    named = {
        "data": config.data is not None,
        "splits": bool(given),
        "dataset": config.dataset is not None,
        "simulate": config.simulate,
    }
    kinds = [kind for kind, is_named in named.items() if is_named]
    if len(kinds) > 1:
        listed = ", ".join("/".join(given) if kind == "splits" else kind for kind in kinds)
        raise ConfigError(
            f"Expected one source of data: ingest.data, ingest.train/valid/test, ingest.dataset or ingest.simulate. "
            f"Received: {listed}."
        )
    if given and len(given) < len(SPLITS):
        missing = ", ".join(name for name in SPLITS if name not in given)
        raise ConfigError(f"Expected all of train, valid and test. Received: {', '.join(given)} without {missing}.")
    return kinds[0] if kinds else "simulate"


def find_files(config: IngestConfig, match: Callable[[str], Sequence[str]] | None = None) -> list[File]:
    """Returns the files of `data`, or of `train`, `valid` and `test`, in the order in which they are read.

    Args:
        config: Names them.
        match: Returns the addresses that a remote address stands for, a file or a pattern; None refuses such addresses.

    Raises:
        ConfigError: If the day of a path is not named.
        DataError: If one does not exist, or is of a format that is not read.
    """
    named: dict[str | None, Sequence[Path] | None] = {split: getattr(config, split) for split in SPLITS}
    if config.data is not None:
        named = {None: config.data}
    if config.data is not None and len(config.data) == 1 and (authors := _authors_files(config.data[0], config.format)):
        named = dict(authors)
    files = {}
    for split, paths in named.items():
        for path in paths or ():
            for found, root in _expand(path, match):
                files[split, found.resolve()] = _file(found, root, split, config)
    return list(files.values())


def named_file(path: Path, config: IngestConfig) -> File:
    """Returns one file that is read beside the log; raises as `find_files` does."""
    return _file(next(_expand(path))[0], path, None, config)


def _authors_files(prefix: Path, format: str) -> dict[str | None, tuple[Path, ...]]:
    """Returns the three files whose common prefix was named, none if it is not one."""
    files = {}
    for split, suffix in AUTHORS.items():
        names = [Path(f"{prefix}{suffix}{ending}") for ending in ("", *_COMPRESSIONS)]
        files[split] = next((path for path in names if os.path.exists(path)), names[0])
    if format == "adt" or (not os.path.exists(prefix) and any(map(os.path.exists, files.values()))):
        return {split: (path,) for split, path in files.items()}
    return {}


def remote_address(path: Path) -> str | None:
    """Returns the address that was given as a path (`s3://logs/a.csv`), None for a file of this machine."""
    return re.sub(r"^([a-z0-9+]+):/+", r"\1://", str(path)) if _REMOTE.match(str(path)) else None


def _expand(path: Path, match: Callable[[str], Sequence[str]] | None = None) -> Iterator[tuple[Path, Path]]:
    """Yields the files that a path stands for, each with the folder that it was found under."""
    if DATE.search(str(path)):
        raise ConfigError(f"{path} is of a day that is not named. Expected --date (ingest.date), such as --date 2026-11-28.")
    if os.path.isfile(path):
        yield path, path.parent
    elif os.path.isdir(path):
        inside = sorted(file for file in path.rglob("*") if file.is_file() and _is_log(file.relative_to(path)))
        if not inside:
            raise DataError(
                f"{path} is a folder without manifest.json and without a file that is read ({', '.join(_FORMATS)}). "
                "Expected files of a log, or a folder written by ingest (of a run: its folder data)."
            )
        yield from ((file, path) for file in inside)
    elif (address := remote_address(path)) and match:
        addresses = sorted(match(address))
        if not addresses:
            raise DataError(
                f"{address} matches no file. Expected the address of a file, or a pattern such as {address}/*.csv."
            )
        yield from ((Path(found), _root(path)) for found in addresses)
    elif address:
        line = _COPIES.get(address.partition(":")[0], "curl -O {}").format(shlex.quote(address))
        raise DataError(f"{address} is a remote address. Expected files: {line}")
    else:
        pattern = path.name if any(sign in str(path) for sign in "*?[") else ""
        root = _root(path)
        found = sorted(file for file in root.glob(str(path.relative_to(root))) if file.is_file()) if pattern else []
        if not found:
            raise DataError(f"{path} {'matches no file' if pattern else 'does not exist'}.")
        yield from ((file, root) for file in found)


def _root(path: Path) -> Path:
    """Returns the part of a pattern before its first sign."""
    return Path(*path.parts[: next((n for n, part in enumerate(path.parts) if set(part) & set("*?[")), len(path.parts))])


def _is_log(path: Path) -> bool:
    """Returns whether a file in a folder is one of its log: others (_SUCCESS, .crc) lie there as well."""
    return not any(part.startswith((".", "_")) for part in path.parts) and _format_of(path) is not None


def _format_of(path: Path) -> str | None:
    stem = path.name.lower()
    for ending in _COMPRESSIONS:
        stem = stem.removesuffix(ending)
    return next((kind for suffix, kind in _FORMATS.items() if stem.endswith(suffix)), None)


def _file(path: Path, root: Path, split: str | None, config: IngestConfig) -> File:
    kind = _format_of(path) if config.format == "auto" else config.format
    compression = _COMPRESSIONS.get(path.suffix.lower(), "none")
    if kind is None and path.suffix.lower() in _CONVERSIONS:
        source, target = repr(str(path)), repr(str(path.with_suffix(".parquet")))
        line = _CONVERSIONS[path.suffix.lower()]
        line = line.replace("{source}", source).replace("{target}", target).replace("{quoted}", shlex.quote(str(path)))
        raise DataError(f"{path} is of a format that is not read. This makes a file that is: {line}")
    if kind is None and (config.separator is not None or not config.header):
        kind = "csv"
    if kind is None:
        raise DataError(
            f"The format of {path} cannot be told from its name. Expected one of {', '.join(_FORMATS)} (or .gz, .zst of "
            f"these), or ingest.format or ingest.separator set. Received: '{path.suffix}'."
        )
    if kind == "parquet" and compression != "none":
        raise DataError(f"{path}: Parquet files are compressed inside. Expected no {path.suffix}: gunzip or unzstd it.")
    folders = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
    matches = [found for part in folders if (found := _PARTITION.fullmatch(part))]
    return File(path, split, kind, compression, tuple((found[1], unquote(found[2])) for found in matches))
