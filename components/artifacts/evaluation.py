"""How well a model ranks the clean test, and whether it may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from tfadt.components.artifacts.base import Artifact

if TYPE_CHECKING:
    from tfadt.evaluation.blessing import Blessing
    from tfadt.evaluation.ranking import Evaluation as Ranked


class Evaluation(Artifact):
    """Metrics of a model on the test split and its blessing against a baseline.

    Layout: `metrics.json` (`metrics`: means over users, such as `recall@20`, and `coverage@20`; `baseline`: the same of
    the baseline, or null), `blessing.json` (`tfadt.evaluation.blessing.Blessing`), `per_user.parquet` (one row a user:
    code, training interactions, activity group and the metrics).
    """

    files = ("metrics.json", "blessing.json", "per_user.parquet")

    def write(self, evaluation: Ranked, blessing: Blessing, baseline: Ranked | None) -> None:
        """Writes the metrics and the blessing."""
        self.write_json(
            "metrics.json", {"metrics": evaluation.metrics, "baseline": None if baseline is None else baseline.metrics}
        )
        self.write_json("blessing.json", blessing.as_dict())
        evaluation.per_user.to_parquet(self.path / "per_user.parquet", index=False)

    def metrics(self) -> dict[str, float]:
        """Returns the metrics of the model."""
        metrics: dict[str, float] = self.read_json("metrics.json", ("metrics", "baseline"))["metrics"]
        return metrics

    def per_user(self) -> pd.DataFrame:
        """Returns the metrics of each user."""
        return pd.read_parquet(self.path / "per_user.parquet")

    def blessing(self) -> dict[str, Any]:
        """Returns whether the model is blessed, and why."""
        return self.read_json("blessing.json", ("blessed", "reason"))

    def summary(self) -> dict[str, Any]:
        """Returns whether the model is blessed, and its recall and NDCG."""
        chosen = {name: value for name, value in self.metrics().items() if name.startswith(("recall@", "ndcg@"))}
        return {"blessed": self.blessing()["blessed"], **chosen}
