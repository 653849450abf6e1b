"""`make quality`: what the models reach on two public data sets and on the simulated default, each beside what is asked.

    python -m benchmarks.quality [--data FOLDER] [--out FOLDER] [--seeds 5] [NAME ...]

FOLDER/NAME has train.tsv, valid.tsv and test.tsv; a data set that is not there is skipped. Each is one run of the library
with the preset `strong` as it is by default: selection on validation, five seeds. A second call goes on where the first was
stopped. Prints the table, and where all were measured writes it into docs/models.md and benchmarks/quality.json. Exits with
1 where a line falls short.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfadt.cli.console import progress
from tfadt.config import Config
from tfadt.config.loading import load_config
from tfadt.evaluation.significance import mean_and_std
from tfadt.experiments.experiment import resume_experiment, run_experiment
from tfadt.experiments.folder import RunFolder
from tfadt.experiments.report import write_report

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "models.md"
BEGIN, END = "<!-- table: written by `make quality` -->", "<!-- end of table -->"

NAMES = ("ml-100k", "modcloth", "simulated")
SPLITS = ("train", "valid", "test")
MODELS = ("popular", "ease", "ials", "gmf", "neumf", "cdae")
TRAINED = ("gmf", "neumf", "cdae")
METRICS = ("recall@20", "ndcg@20", "false_share@20")
BEST, ABOVE = "best of gmf, neumf, cdae", "the same, above popular"
SIGNIFICANT = 0.05

ASKED: dict[str, dict[str, tuple[float, ...]]] = {
    "ml-100k": {
        "ease": (0.2152, 0.1541),  # .2162 / .1551 within .001
        "ials": (0.218, 0.155),
        "gmf": (0.213,),
        "neumf": (0.200,),
        "cdae": (0.210,),
        BEST: (0.2162, 0.1551),
    },
    "modcloth": {"ease": (0.268,), "ials": (0.258,), "gmf": (0.258,), ABOVE: ()},
    "simulated": {BEST: (0.233,)},
}
"""Data set -> line -> the least recall@20 and, where given, ndcg@20."""


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        data: The data set.
        name: A model, or what is asked of several.
        values: Mean and standard deviation over the seeds of each of `METRICS` that was measured.
        asked: What is asked, in words; empty for nothing.
        reached: Whether it is reached.
    """

    data: str
    name: str
    values: dict[str, tuple[float, float]]
    asked: str
    reached: bool


def settings(name: str, data: Path, seeds: int) -> Config:
    """Returns the settings of a data set's run."""
    base: dict[str, Any] = {
        "ingest": {} if name == "simulated" else {split: str(data / name / f"{split}.tsv") for split in SPLITS},
        "adt": {"preset": "strong", "models": list(MODELS), "policies": ["standard"], "seeds": seeds},
    }
    return load_config(base=base)


def measure(config: Config, out: Path) -> dict[str, Any]:
    """Runs what is left of a data set's run; returns what its `results.json` holds."""
    with progress(False) as listener:
        if RunFolder(out).holds(config):
            interactions, runs = resume_experiment(out, listener, jobs=None)
        else:
            interactions, runs = run_experiment(config, out, listener, jobs=None)
    return write_report(config, interactions, runs, out)


def lines(name: str, results: Mapping[str, Any]) -> list[Line]:
    """Returns the lines of a data set."""
    values = {model: _spread(results["runs"], model) for model in MODELS}
    best = max(TRAINED, key=lambda model: values[model]["recall@20"][0])
    found = [_line(name, model, values[model]) for model in MODELS]
    if BEST in ASKED[name]:
        found.append(_line(name, BEST, values[best]))
    if ABOVE in ASKED[name]:
        against = {
            test["model"]: test
            for test in results["comparisons"]
            if test["baseline"] == "popular" and test["metric"] == "recall@20"
        }
        test = against[best]
        asked = f"{best} {test['difference']:+.4f} with p < {SIGNIFICANT} over users (Holm), p = {test['p_value_holm']:.2g}"
        reached = test["difference"] > 0 and test["p_value_holm"] < SIGNIFICANT
        found.append(Line(name, ABOVE, values[best], asked, reached))
    return found


def _spread(runs: Sequence[Mapping[str, Any]], model: str) -> dict[str, tuple[float, float]]:
    own = [run["metrics"] for run in runs if run["model"] == model]
    return {metric: mean_and_std([each[metric] for each in own]) for metric in METRICS if metric in own[0]}


def _line(data: str, name: str, values: dict[str, tuple[float, float]]) -> Line:
    least = ASKED[data].get(name, ())
    reached = all(values[metric][0] >= bound for metric, bound in zip(METRICS, least, strict=False))
    return Line(data, name, values, " / ".join(f"≥ {bound:.4f}" for bound in least), reached)


def table(found: Sequence[Line]) -> str:
    """Returns the lines as a Markdown table."""
    rows = ["| data | model | R@20 | N@20 | false share@20 | asked of R@20 / N@20 | |", "|---|---|---|---|---|---|---|"]
    for line in found:
        cells = [_cell(*line.values[metric]) if metric in line.values else "" for metric in METRICS]
        verdict = "" if not line.asked else "pass" if line.reached else "**short**"
        rows.append(f"| {line.data} | {line.name} | {' | '.join(cells)} | {line.asked} | {verdict} |")
    return "\n".join(rows)


def _cell(mean: float, std: float) -> str:
    return f"{mean:.4f} ± {std:.4f}" if std else f"{mean:.4f}"


def main(arguments: Sequence[str]) -> int:
    """Measures the data sets; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.quality")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; default all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("runs/quality"))
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in NAMES]:
        parser.error(f"unknown data set {', '.join(unknown)}; known: {', '.join(NAMES)}")
    found: list[Line] = []
    for name in given.names or NAMES:
        missing = [] if name == "simulated" else [s for s in SPLITS if not (given.data / name / f"{s}.tsv").is_file()]
        if missing:
            print(f"{name} is skipped: {given.data / name} has no {missing[0]}.tsv.", file=sys.stderr)
            continue
        begun = time.perf_counter()
        found += lines(name, measure(settings(name, given.data, given.seeds), given.out / name))
        print(f"{name}: {(time.perf_counter() - begun) / 60:.1f} minutes.", file=sys.stderr, flush=True)
    text = table(found)
    print(text)
    if {line.data for line in found} == set(NAMES):
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        content = {"machine": machine, "seeds": given.seeds, "lines": [asdict(line) for line in found]}
        (HERE / "quality.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return int(any(not line.reached for line in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
