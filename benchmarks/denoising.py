"""What denoising is worth: disliked items at the same recall, against plain training, over seeds; resumable.

`make denoising-table DATA=FOLDER` runs the library's own experiment on each data set in FOLDER that is split into train.tsv,
valid.tsv and test.tsv with ratings, and writes docs/denoising/table.md and a picture of each frontier. Each seed draws anew
which clicks are known. A line that was measured is not measured again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfadt.config.loading import load_config
from tfadt.evaluation.false_positives import judged_hits
from tfadt.experiments.experiment import run_experiment
from tfadt.experiments.folder import read_per_user
from tfadt.experiments.report import write_report
from tfadt.experiments.run import Run
from tfadt.experiments.saved import SavedRun

K = 20
DRAWS = 2000
METRICS = (f"recall@{K}", f"ndcg@{K}", f"false_share@{K}")


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        data: Folder of the data set.
        model: Registered name.
        share: Share of the clicks of training and validation whose feedback is known.
        settings: Settings beside the defaults.
        fewer: Relative change of the false share that is asked for at least; None where nothing is asked.
    """

    data: str
    model: str
    share: float
    settings: tuple[str, ...] = ()
    fewer: float | None = None

    @property
    def name(self) -> str:
        """Folder of its runs."""
        return f"{self.data}-{self.model}-{self.share:g}"


_ML = ("model.ials.reg=0.01", "model.ials.alpha=0.3", "model.ials.iterations=6", "model.ease.lambda_=500")
_MODCLOTH = (
    *("model.ials.embedding_dim=32", "model.ials.reg=0.05", "model.ials.alpha=0.1", "model.ials.iterations=5"),
    "model.ease.lambda_=4000",
)
LINES = (
    Line("ml-100k", "ials", 0.1, _ML, -0.11),
    Line("ml-100k", "ease", 0.1, _ML),
    Line("ml-100k", "ials", 0.02, _ML, -0.04),
    Line("modcloth", "ials", 0.1, _MODCLOTH, -0.06),
    Line("modcloth", "ease", 0.1, _MODCLOTH),
)


def measure(line: Line, seed: int, data: Path, work: Path) -> SavedRun:
    """Returns the finished run of a line and a seed, trained if need be."""
    out = work / f"{line.name}-{seed}"
    files = [f"ingest.{name}={data / line.data / name}.tsv" for name in ("train", "valid", "test")]
    draw = [f"ingest.extra_feedback.share={line.share}", f"ingest.extra_feedback.seed={seed}"]
    chosen = [f"adt.models={line.model}", f"adt.seed={seed}", "adt.policies=standard,popularity,noise_model,clean_only"]
    config = load_config(None, [*files, "ingest.on_overlap=drop_from_test", *draw, *chosen, *line.settings])
    if (out / "results.json").is_file():
        saved = SavedRun.open(out)
        if saved.config == config:
            return saved
    found, runs = run_experiment(config, out)
    write_report(config, found, runs, out)
    return SavedRun.open(out)


def difference(method: Sequence[Run], plain: Sequence[Run]) -> float:
    """Returns the two-sided p of the difference in false share, by a bootstrap over users, hits summed over the seeds."""
    users = pd.Index(np.unique(np.concatenate([run.evaluation.per_user["user"] for run in (*method, *plain)])))
    columns = []
    for runs in (method, plain):
        for number in (0, 1):
            hits = [
                pd.Series(judged_hits(run.evaluation.per_user, K)[number], index=run.evaluation.per_user["user"])
                for run in runs
            ]
            columns.append(sum(each.reindex(users, fill_value=0.0).to_numpy() for each in hits))
    rng, table = np.random.default_rng(0), np.stack(columns, axis=1)
    drawn = np.array([table[rng.integers(len(users), size=len(users))].sum(axis=0) for _ in range(DRAWS)])
    change = drawn[:, 0] / drawn[:, 1] - drawn[:, 2] / drawn[:, 3]
    return float(min(1.0, 2 * min((change >= 0).mean(), (change <= 0).mean()) + 1 / DRAWS))


def summary(line: Line, users: Sequence[dict[str, Run]]) -> list[str]:
    """Returns the rows of a line."""
    by_policy = {policy: [each[policy] for each in users] for policy in users[0]}
    plain = {metric: np.mean([run.metrics[metric] for run in by_policy["standard"]]) for metric in METRICS}
    rows = []
    for policy, runs in by_policy.items():
        means = {metric: np.mean([run.metrics[metric] for run in runs]) for metric in METRICS}
        change = {metric: means[metric] / plain[metric] - 1 for metric in METRICS}
        cells = [f"{means[metric]:.4f}" for metric in METRICS]
        if policy != "standard":
            cells = [f"{cell} ({change[metric]:+.1%})" for cell, metric in zip(cells, METRICS, strict=True)]
        p = "" if policy == "standard" else f"{difference(runs, by_policy['standard']):.2g}"
        verdict = ""
        if policy == "noise_model" and line.fewer is not None:
            reached = change[METRICS[2]] <= line.fewer and change[METRICS[0]] >= -0.01
            verdict = f"{line.fewer:.0%} asked: {'reached' if reached else 'not reached'}"
        rows.append(f"| {line.data} | {line.model} | {line.share:.0%} | {policy} | {' | '.join(cells)} | {p} | {verdict} |")
    auc = [run.strength["noise_model"]["auc"] for run in by_policy["noise_model"] if run.strength]
    chosen = [run.strength["chosen"] for run in by_policy["noise_model"] if run.strength]
    named = ", ".join(f"{each['policy']} {each['power']:g}/{each['gamma']:g}" for each in chosen)
    return [*rows, f"| {line.data} | {line.model} | {line.share:.0%} | chosen: {named}; AUC {np.mean(auc):.3f} | | | | | |"]


def draw(line: Line, frontiers: Sequence[list[dict[str, Any]]], path: Path) -> None:
    """Draws expected recall over expected false share of every candidate, the mean over seeds."""
    from matplotlib.figure import Figure

    axes = (figure := Figure(figsize=(7, 5))).subplots()
    frame = pd.DataFrame([each for frontier in frontiers for each in frontier])
    means = frame.groupby(["policy", "power", "gamma"], as_index=False).mean()
    for (policy, power), part in means.groupby(["policy", "power"]):
        label = f"weights (1-p)^{power:g}" if policy == "noise_model" else str(policy)
        axes.plot(part["expected_false_share"], part["expected_recall"], "o-", label=label, markersize=4)
    axes.set(
        xlabel=f"expected false share@{K}", ylabel=f"expected recall@{K}", title=f"{line.data}, {line.model}: validation"
    )
    axes.legend(fontsize=8, title="along a line: ranked by (1-p)^0, .5, 1, 2")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measures what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/denoising"))
    parser.add_argument("--out", type=Path, default=Path("docs/denoising"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="Lines whose name holds this text.")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    header = f"| data | model | known | policy | {' | '.join(METRICS)} | p (false share) | |\n|{'---|' * 9}"
    rows = [header]
    for line in LINES:
        if arguments.only not in line.name:
            continue
        saved = [measure(line, seed, arguments.data, arguments.work) for seed in range(arguments.seeds)]
        users = [
            {str(run.policy): replace(run, per_user=read_per_user(each.layout, run.name)) for run in each.trained.values()}
            for each in saved
        ]
        rows += summary(line, users)
        frontiers = [each["noise_model"].strength["frontier"] for each in users]
        draw(line, frontiers, arguments.out / f"{line.name}.svg")
        print("\n".join(rows), flush=True)
        (arguments.out / "table.md").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
