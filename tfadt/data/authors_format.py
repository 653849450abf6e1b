"""The three-file format of the method authors: NAME.train.rating, NAME.valid.rating, NAME.test.negative."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tfadt.data.accounting import RowAccount
from tfadt.errors import DataError

SUFFIXES = {"train": ".train.rating", "valid": ".valid.rating", "test": ".test.negative"}


def read_authors_file(path: Path, split: str, account: RowAccount) -> pd.DataFrame:
    """Reads one of the three files; tab separated, without a header.

    Train and valid: user, item, flag (1 a true positive, 0 a false positive). Test: user, item; in the Adressa file the
    first field is the text `(user, item)`.

    Args:
        path: The file.
        split: `"train"`, `"valid"` or `"test"`.
        account: Counts rows, and rows with missing fields.

    Returns:
        user, item (text) and, for train and valid, false_positive (text 0 or 1).

    Raises:
        DataError: If the file is missing, empty or not UTF-8.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist. The authors' format has {', '.join(SUFFIXES.values())} after one name.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte at offset {error.start} is not UTF-8. Expected UTF-8.") from error
    lines = pd.Series([line for line in text.split("\n") if line.strip()], dtype="str")
    if lines.empty:
        raise DataError(f"{path} is empty. Expected tab-separated rows.")
    account.rows_in += len(lines)
    fields = lines.str.rstrip("\r").str.split("\t", expand=True).reindex(columns=range(3))
    if split == "test":
        pair = fields[0].str.extract(r"^\s*\(\s*([^,()]+?)\s*,\s*([^,()]+?)\s*\)\s*$")
        written_as_pair = pair[0].notna()
        frame = pd.DataFrame(
            {"user": fields[0].where(~written_as_pair, pair[0]), "item": fields[1].where(~written_as_pair, pair[1])}
        )
    else:
        # The file's flag is 1 for a true positive; ours is 1 for a false one. Other texts stay and are rejected later.
        flag = fields[2].str.strip()
        frame = pd.DataFrame({"user": fields[0], "item": fields[1], "false_positive": flag.replace({"1": "0", "0": "1"})})
    whole = frame.notna().all(axis=1).to_numpy()
    return account.keep(frame, whole, "wrong number of fields").reset_index(drop=True)
