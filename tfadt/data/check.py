"""A look at a log before it is read: wrong paths, columns and conditions are told within a second."""

from __future__ import annotations

from tfadt.config.ingest import IngestConfig
from tfadt.data import artifact
from tfadt.data.database import Database
from tfadt.data.files import find_files, source_kind
from tfadt.data.lines import compressed, first_text
from tfadt.data.log import rules_of
from tfadt.data.readers import read_file
from tfadt.data.splits import check_shares
from tfadt.errors import DataError


def check_source(config: IngestConfig) -> None:
    """Reads the first megabyte of each file, as `ingest` would.

    JSON is left to `ingest`, since its later objects may have keys that the first ones lack; so is what Beam reads, whose
    workers may be the only ones that see it.

    Raises:
        ConfigError: If sources or settings contradict each other, or do not fit a file.
        DataError: If a file does not exist, is empty, not of its format, or lacks a column.
    """
    check_shares(config.split)
    kind = source_kind(config)
    if config.extra_feedback.file is not None and not config.extra_feedback.file.is_file():
        raise DataError(f"{config.extra_feedback.file} does not exist.")
    if kind not in ("data", "splits") or config.runner == "beam":
        return
    if config.data and len(config.data) == 1 and artifact.is_artifact(config.data[0]):
        return
    files = [file for file in find_files(config) if file.format not in ("json", "jsonl")]
    with Database([file.path for file in files], "1GB") as database:
        sources = []
        for file in files:
            if file.format != "parquet":
                head = first_text(file)
                whole_lines = head[: head.rfind(b"\n") + 1] if b"\n" in head and b"\0" not in head else head
                # Compressed as the file is, since the file itself is asked for its encoding and its line breaks.
                database.put(file.path, compressed(whole_lines, file.compression))
            sources.append(read_file(file, config, database))
    if sources:
        rules_of(sources, config)
