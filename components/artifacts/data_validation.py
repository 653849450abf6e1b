"""What `validate_data` found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tfadt.components.artifacts.base import Artifact
from tfadt.data.statistics import Statistics
from tfadt.errors import reading


class DataValidation(Artifact):
    """Statistics of a data set and the anomalies in it.

    Layout: `statistics.json` (`tfadt.data.statistics.Statistics`), `item_counts.parquet` (`id`, `count`: training
    interactions), `anomalies.json` (`anomalies`: one sentence each; `compared`: whether with an earlier run).
    """

    files = ("statistics.json", "item_counts.parquet", "anomalies.json")

    def write(self, statistics: Statistics, anomalies: Sequence[str], compared: bool) -> None:
        """Writes what was found."""
        self.write_json("statistics.json", statistics.as_dict())
        statistics.item_counts.reset_index().to_parquet(self.path / "item_counts.parquet", index=False)
        self.write_json("anomalies.json", {"anomalies": list(anomalies), "compared": compared})

    def statistics(self) -> Statistics:
        """Returns the statistics.

        Raises:
            DataError: If they are damaged or of another version.
        """
        values = self.read_json("statistics.json")
        path = self.path / "item_counts.parquet"
        with reading(self.path, "has no statistics of this version"):
            counts = pd.read_parquet(path).set_index("id")["count"]
            return Statistics(**values, item_counts=counts)

    def anomalies(self) -> list[str]:
        """Returns the anomalies."""
        return list(self.read_json("anomalies.json", ("anomalies", "compared"))["anomalies"])

    def summary(self) -> dict[str, Any]:
        """Returns the number of anomalies and whether there was an earlier run to compare with."""
        content = self.read_json("anomalies.json", ("anomalies", "compared"))
        return {"anomalies": len(content["anomalies"]), "compared": content["compared"]}
