"""The data set that ingest makes."""

from __future__ import annotations

from typing import Any

from tfadt.components.artifacts.base import Artifact
from tfadt.data import artifact
from tfadt.data.interactions import InteractionData


class Interactions(Artifact):
    """Three splits of codes, two vocabularies and the account of every row, as `tfadt ingest` writes them.

    Layout: `train.parquet`, `valid.parquet`, `test.parquet` (`user`, `item`: int64 codes; `false_positive`: bool, if
    known), `users.parquet`, `items.parquet` (`id`, in code order), `manifest.json`.
    """

    files = (
        "manifest.json",
        "train.parquet",
        "valid.parquet",
        "test.parquet",
        "users.parquet",
        "items.parquet",
    )

    def read(self) -> InteractionData:
        """Returns the data.

        Raises:
            DataError: If it is damaged or not what its manifest describes.
        """
        return artifact.load(self.path)

    def write(self, data: InteractionData) -> None:
        """Writes the data."""
        artifact.save(data, self.path)

    def summary(self) -> dict[str, Any]:
        """Returns the counts and the content's fingerprint."""
        manifest = self.read_json("manifest.json", ("counts", "fingerprint", "source"))
        return {**manifest["counts"], "source": manifest["source"]["name"], "fingerprint": manifest["fingerprint"]}
