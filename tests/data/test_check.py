"""A look at a log before it is read: it refuses what ingest would refuse, and nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from tfadt.config.ingest import Columns, IngestConfig
from tfadt.data.check import check_source
from tfadt.data.ingest import ingest
from tfadt.errors import DataError

TEXT = "user_id,item_id\n" + "".join(f"{user},{item}\n" for user in range(4) for item in range(5))
MIXED = TEXT.replace("\n", "\r\n", 3).encode()
FILES = {
    "plain.csv": TEXT.encode(),
    "mixed.csv": MIXED,
    "mixed.csv.gz": gzip.compress(MIXED),
    "mixed.csv.zst": pa.compress(MIXED, "zstd", asbytes=True),
    "utf16.csv.gz": gzip.compress(TEXT.encode("utf-16")),
}


@pytest.mark.parametrize("name", FILES)
def test_what_ingest_reads_passes_and_a_wrong_column_does_not(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    config = IngestConfig(data=(tmp_path / name,))
    check_source(config)
    assert ingest(config).manifest["rows"]["in"] == 20
    with pytest.raises(DataError, match=r"has no column 'uid'"):
        check_source(config.model_copy(update={"columns": Columns(user="uid")}))


def test_only_the_first_lines_are_looked_at(tmp_path: Path) -> None:
    rows = "".join(f"{n},1\n" for n in range(300_000))
    (tmp_path / "log.csv").write_bytes(("user_id,item_id\n" + rows).encode() + b"\xff,1\n")
    check_source(IngestConfig(data=(tmp_path / "log.csv",)))
