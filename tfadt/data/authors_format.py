"""The three-file format of the method authors: NAME.train.rating, NAME.valid.rating, NAME.test.negative."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tfadt.data.delimited import WRONG_FIELDS, parse_delimited
from tfadt.data.tables import ReadResult

SUFFIXES = {"train": ".train.rating", "valid": ".valid.rating", "test": ".test.negative"}
_PAIR = r"^\s*\(\s*(?P<user>[^,()]*[^,()\s])\s*,\s*(?P<item>[^,()]*[^,()\s])\s*\)\s*$"


def read_authors_file(content: bytes, path: Path) -> ReadResult:
    """Reads one of the three files; tab separated, without a header.

    `*.rating` has user, item, flag (1 a true positive, 0 a false positive). `*.test.negative` has user, item and only
    true positives; in the Adressa file the first field is the text `(user, item)`.

    Args:
        content: Text of the file.
        path: Its name, which tells which of the files it is.

    Returns:
        user, item and false_positive, as text.
    """
    if path.name.removesuffix(".gz").endswith(SUFFIXES["test"]):
        return _read_test(content)
    table, bad_rows, _ = parse_delimited(content, "\t", ["user", "item", "flag"], quotes=False)
    flag = pc.utf8_trim_whitespace(table["flag"])
    # The file's flag is 1 for a true positive; ours is 1 for a false one. Other texts stay and are rejected later.
    false_positive = pc.if_else(pc.equal(flag, "1"), "0", pc.if_else(pc.equal(flag, "0"), "1", flag))
    frame = table.drop_columns("flag").append_column("false_positive", false_positive).to_pandas()
    rejected = {WRONG_FIELDS: bad_rows} if bad_rows else {}
    return ReadResult(frame, len(frame) + bad_rows, rejected, ["user", "item", "flag"])


def _read_test(content: bytes) -> ReadResult:
    lines = pa.array([line for line in re.split(r"[\r\n]+", content.decode("utf-8-sig")) if line.strip()])
    fields = pc.split_pattern(lines, "\t")
    first = pc.list_element(fields, 0)
    pair = pc.extract_regex(first, _PAIR)
    written_as_pair = pc.is_valid(pair)
    has_two = pc.greater_equal(pc.list_value_length(fields), 2)
    # A list without a second element has no element 1 to take, so it borrows one that is not used.
    padded = pc.if_else(has_two, fields, pa.scalar(["", ""]))
    user = pc.if_else(written_as_pair, pc.struct_field(pair, "user"), first)
    item = pc.if_else(written_as_pair, pc.struct_field(pair, "item"), pc.list_element(padded, 1))
    frame = pa.table({"user": user, "item": item}).filter(pc.or_(written_as_pair, has_two)).to_pandas()
    frame["false_positive"] = "0"
    bad_rows = len(lines) - len(frame)
    return ReadResult(frame, len(lines), {WRONG_FIELDS: bad_rows} if bad_rows else {}, ["user", "item"])
