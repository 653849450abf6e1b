"""Recall over settings, one training each, on validation and on the clean test: a table and pictures for docs/models.md.

    python -m benchmarks.sweep [--data FOLDER] [--out FOLDER] [NAME ...]

FOLDER/NAME is as for `make quality`. A setting that is in the table already is not trained again, so a second call goes on
where the first was stopped. Settings are chosen by the columns of validation; the test's show what a choice is worth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.quality import SPLITS
from tfadt.config import Config
from tfadt.config.loading import load_config
from tfadt.data.ingest import ingest
from tfadt.data.interactions import InteractionData
from tfadt.evaluation.protocol import test_evaluator
from tfadt.evaluation.ranking import RankingEvaluator
from tfadt.registry import PLAIN
from tfadt.report.drawing import COLOURS, DASHES, canvas, handles, legend
from tfadt.training.plan import Plan
from tfadt.training.stages import train

OUT = Path(__file__).parent.parent / "docs" / "models"
TABLE = "sweep.csv"
RULE, VALID, TEST, NDCG = "selection score", "validation recall@20", "test recall@20", "test ndcg@20"
"""What is measured: recall at 50 on the validation clicks known to be liked, which selects; on all of them; on the test."""


@dataclass(frozen=True)
class Sweep:
    """Trainings that differ in one setting, for one or several curves.

    Attributes:
        data: Folder of the data set.
        model: Registered name.
        setting: What varies along a curve, such as `adt.l2`.
        values: Its values, ascending.
        curves: Name of a curve -> its settings beside the preset's.
    """

    data: str
    model: str
    setting: str
    values: tuple[float, ...]
    curves: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})

    @property
    def name(self) -> str:
        """File name of its picture."""
        return f"{self.data}-{self.model}"


SWEEPS = (
    Sweep(
        "modcloth",
        "ease",
        "model.ease.lambda_",
        (100, 200, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 32000),
    ),
)


def configured(sweep: Sweep, data: Path, own: Mapping[str, Any]) -> Config:
    """Returns the settings of one training, `own` over those of the preset."""
    files = {split: str(data / sweep.data / f"{split}.tsv") for split in SPLITS}
    method = {name: value for name, value in own.items() if name.startswith("adt.")}
    model = {name.rpartition(".")[2]: value for name, value in own.items() if not name.startswith("adt.")}
    return load_config(base={"ingest": files, "method": {sweep.model: method}, "model": {sweep.model: model}})


def measure(sweep: Sweep, config: Config, data: InteractionData) -> dict[str, float]:
    """Trains with the first seed and returns what the selected weights reach."""
    trained = train(Plan(sweep.model, PLAIN, config.adt.seed), data, config)
    valid = RankingEvaluator(data.valid, data.history(), (20,))(trained.model).metrics
    test = test_evaluator(data, config)(trained.model).metrics
    assert trained.selection_score is not None
    found = {
        RULE: trained.selection_score,
        VALID: valid["recall@20"],
        TEST: test["recall@20"],
        NDCG: test["ndcg@20"],
    }
    return {name: round(float(value), 4) for name, value in found.items()}


def run(sweep: Sweep, data: Path, table: Path) -> pd.DataFrame:
    """Measures what the table lacks, line by line, and returns the sweep's part of it."""
    keys = ["data", "model", "curve", "setting", "value"]
    lines = pd.read_csv(table, keep_default_na=False) if table.is_file() else pd.DataFrame(columns=keys)
    known = set(lines[keys].itertuples(index=False, name=None))
    interactions = None
    for curve, own in sweep.curves.items():
        for value in sweep.values:
            line = (sweep.data, sweep.model, curve, sweep.setting, float(value))
            if line in known:
                continue
            config = configured(sweep, data, {**own, sweep.setting: value})
            interactions = interactions or ingest(config.ingest)
            found = measure(sweep, config, interactions)
            lines = pd.concat([lines, pd.DataFrame([dict(zip(keys, line, strict=True)) | found])], ignore_index=True)
            lines.to_csv(table, index=False)
            print(*line, found, file=sys.stderr, flush=True)
    return lines[(lines[keys[:2]] == [sweep.data, sweep.model]).all(axis=1) & (lines["setting"] == sweep.setting)]


def draw(sweep: Sweep, lines: pd.DataFrame, folder: Path) -> None:
    """Draws recall over the setting: the test in full, validation in dashes, and a ring about what the rule chooses."""
    figure, (axis,) = canvas(3.6)
    shown = (TEST, VALID)
    for colour, curve in zip(COLOURS, sweep.curves, strict=False):
        own = lines[lines["curve"] == curve].sort_values("value")
        for dash, column in zip(DASHES, shown, strict=True):
            axis.plot(own["value"], own[column], color=colour, linestyle=dash, marker="o", markersize=4)
        chosen = own.loc[own[RULE].idxmax()]
        axis.plot(chosen["value"], chosen[TEST], color=colour, marker="o", markersize=10, fillstyle="none")
    axis.set_xscale("log")
    axis.set(xlabel=f"{sweep.setting} ({sweep.model}, {sweep.data})", ylabel="recall@20")
    named = handles(list(sweep.curves)) if len(sweep.curves) > 1 else []
    legend(figure, [*named, *handles(["clean test", "validation, all clicks"], dashes=True)], 2)
    figure.savefig(folder / f"{sweep.name}.svg", metadata={"Date": None})


def main(arguments: Sequence[str]) -> None:
    """Runs the sweeps and draws them."""
    parser = argparse.ArgumentParser(prog="benchmarks.sweep")
    names = [sweep.name for sweep in SWEEPS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(names)}; default all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in names]:
        parser.error(f"unknown sweep {', '.join(unknown)}; known: {', '.join(names)}")
    given.out.mkdir(parents=True, exist_ok=True)
    for sweep in SWEEPS:
        if sweep.name in (given.names or names):
            draw(sweep, run(sweep, given.data, given.out / TABLE), given.out)


if __name__ == "__main__":
    main(sys.argv[1:])
