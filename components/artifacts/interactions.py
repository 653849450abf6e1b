"""The data set that ingest makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tfadt.components.artifacts.base import Artifact
from tfadt.components.artifacts.extra_feedback import ExtraFeedback
from tfadt.data import artifact
from tfadt.data.interactions import InteractionData
from tfadt.data.interactions import Interactions as Pairs


class Interactions(Artifact):
    """Three splits of codes, two vocabularies and the account of every row; what is known beyond them is `ExtraFeedback`.

    Layout, as `tfadt ingest` writes it: `train.parquet`, `valid.parquet`, `test.parquet` (`user`, `item`: int64 codes;
    `false_positive`, `known_positive`, `known_negative`: bool, if known), `users.parquet`, `items.parquet` (`id`, in code
    order), `manifest.json`.
    """

    files = (
        "manifest.json",
        "train.parquet",
        "valid.parquet",
        "test.parquet",
        "users.parquet",
        "items.parquet",
    )

    def read(self, extra_feedback: ExtraFeedback | None = None) -> InteractionData:
        """Returns the data, with extra feedback if it is given.

        Raises:
            DataError: If it is damaged or not what its manifest describes.
        """
        data = artifact.load(self.path)
        return data if extra_feedback is None else _with(data, extra_feedback.read())

    def write(self, data: InteractionData) -> None:
        """Writes the data without their extra feedback."""
        artifact.save(_with(data, None), self.path)

    def summary(self) -> dict[str, Any]:
        """Returns the counts and the content's fingerprint."""
        manifest = self.read_json("manifest.json", ("counts", "fingerprint", "source"))
        return {**manifest["counts"], "source": manifest["source"]["name"], "fingerprint": manifest["fingerprint"]}


def _with(data: InteractionData, extra: Pairs | None) -> InteractionData:
    """Returns the data with other extra feedback, and a manifest that describes them."""
    changed = data.with_extra_feedback(extra)
    return replace(changed, manifest={**data.manifest, "fingerprint": artifact.fingerprint(changed)})
