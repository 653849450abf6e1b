"""The extra feedback D*: which true positives are known beyond the clicks (the paper's section 3.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tfadt.components.artifacts.base import Artifact
from tfadt.data.interactions import InteractionData, Interactions
from tfadt.errors import reading


class ExtraFeedback(Artifact):
    """Pairs that are known to be liked, and where they come from.

    Layout: `extra_feedback.parquet` (`user`, `item`: int64 codes), `account.json` (`source`: `sample`, `column`, `file` or
    `none`; counts).
    """

    files = ("extra_feedback.parquet", "account.json")

    def write(self, data: InteractionData) -> None:
        """Writes the extra feedback of a data set, which may be none."""
        extra = data.extra_feedback
        user, item = (np.zeros(0, np.int64),) * 2 if extra is None else (extra.user, extra.item)
        self.write_json("account.json", data.manifest["extra_feedback"])
        pd.DataFrame({"user": user, "item": item}).to_parquet(self.path / "extra_feedback.parquet", index=False)

    def read(self) -> Interactions | None:
        """Returns the pairs; None where there is no extra feedback.

        Raises:
            DataError: If the file is damaged.
        """
        if self.summary()["source"] == "none":
            return None
        path = self.path / "extra_feedback.parquet"
        with reading(path, "is damaged"):
            pairs = pd.read_parquet(path)
            return Interactions(pairs["user"].to_numpy("int64"), pairs["item"].to_numpy("int64"))

    def summary(self) -> dict[str, Any]:
        """Returns the account."""
        return self.read_json("account.json", ("source",))
