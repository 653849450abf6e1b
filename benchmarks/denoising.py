"""What denoising is worth: disliked items at the same recall, against plain training, over seeds; resumable.

`make denoising-table DATA=FOLDER` runs the library's own experiment on each data set in FOLDER that is split into train.tsv,
valid.tsv and test.tsv with ratings. Each seed draws anew which clicks are known. A run that is finished is not made again.
Prints the tables of all lines that are measured, now or before, and writes them into docs/denoising.md. Of each line whose
strength was chosen it draws the frontier.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfadt.config import Config
from tfadt.config.loading import load_config
from tfadt.denoising.calibration import Calibration
from tfadt.denoising.noise_model import NoiseModel
from tfadt.evaluation.false_positives import judged_hits
from tfadt.experiments.experiment import resume_experiment, run_experiment
from tfadt.experiments.folder import RunFolder, read_per_user
from tfadt.experiments.layout import RESULTS
from tfadt.experiments.report import write_report
from tfadt.experiments.run import Run
from tfadt.experiments.saved import SavedRun

PAGE = Path(__file__).parent.parent / "docs" / "denoising.md"
PICTURES = PAGE.parent / "denoising"
BEGIN, END = "<!-- {}: written by `make denoising-table` -->", "<!-- end of {} -->"
WITH, WITHOUT, AUC = "with feedback", "without feedback", "noise model"

K = 20
SEEDS = 5
DRAWS = 2000
METRICS = (f"recall@{K}", f"ndcg@{K}", f"false_share@{K}")
MAX_RECALL_LOSS = 0.01
SIGNIFICANT = 0.05

CONTROLLED = ("standard", "popularity", "noise_model", "clean_only")
UNTOLD = ("standard", "t_ce", "r_ce", "udt", "eard", "pld", "dcf", "sgdl", "popularity", "random_drop")


@dataclass(frozen=True)
class Line:
    """A model on a data set, and what is known there.

    Attributes:
        data: Folder of the data set.
        model: Registered name.
        share: Share of the clicks of training and validation whose feedback is known.
        settings: Settings beside the defaults.
        fewer: Relative change of the false share that is asked for at least; None where nothing is asked.
        of: The policy that it is asked of; empty for the best.
        policies: Those that are compared, plain training first.
        recall: Relative change of recall that is asked for at least.
    """

    data: str
    model: str
    share: float
    settings: tuple[str, ...] = ()
    fewer: float | None = None
    of: str = "noise_model"
    policies: tuple[str, ...] = CONTROLLED
    recall: float = -MAX_RECALL_LOSS

    @property
    def name(self) -> str:
        """Folder of its runs."""
        return f"{self.data}-{self.model}-{self.share:g}"


_ML = ("model.ials.reg=0.01", "model.ials.alpha=0.3", "model.ials.iterations=6", "model.ease.lambda_=500")
_MODCLOTH = (
    *("model.ials.embedding_dim=32", "model.ials.reg=0.05", "model.ials.alpha=0.1", "model.ials.iterations=5"),
    "model.ease.lambda_=4000",
)
# The softmax has no place for a click that has become a negative.
_SOFTMAX = ("policy.dcf.relabel_ratio=0",)
LINES = (
    Line("ml-100k", "ials", 0.1, _ML, -0.11),
    Line("ml-100k", "gmf", 0.1, (), -0.11),
    Line("ml-100k", "ease", 0.1, _ML),
    Line("ml-100k", "ials", 0.02, _ML, -0.04),
    Line("modcloth", "ials", 0.1, _MODCLOTH, -0.06),
    Line("modcloth", "ease", 0.1, _MODCLOTH, -0.06, recall=0.0),
    Line("ml-100k", "gmf", 0, _SOFTMAX, -0.1, "", UNTOLD),
    Line("modcloth", "gmf", 0, _SOFTMAX, None, "", UNTOLD),
)


def settings(line: Line, seed: int, data: Path) -> Config:
    """Returns the settings of a line's run with a seed."""
    files = [f"ingest.{name}={data / line.data / name}.tsv" for name in ("train", "valid", "test")]
    draw = [f"ingest.extra_feedback.share={line.share}", f"ingest.extra_feedback.seed={seed}"]
    chosen = [f"adt.models={line.model}", f"adt.seed={seed}", f"adt.policies={','.join(line.policies)}"]
    return load_config(None, [*files, "ingest.on_overlap=drop_from_test", *draw, *chosen, *line.settings])


def finished(out: Path, config: Config) -> SavedRun | None:
    """Returns the run in a folder; None where it is not finished, or has other settings."""
    return SavedRun.open(out) if (out / RESULTS).is_file() and RunFolder(out).holds(config) else None


def measure(out: Path, config: Config) -> SavedRun:
    """Returns the run in a folder, trained if need be; one that was cut goes on."""
    if saved := finished(out, config):
        return saved
    found, runs = resume_experiment(out) if RunFolder(out).holds(config) else run_experiment(config, out)
    write_report(config, found, runs, out)
    return SavedRun.open(out)


@dataclass(frozen=True)
class Effect:
    """What a policy reaches, and how that differs from plain training.

    Attributes:
        values: Each of `METRICS`, the mean over the seeds.
        change: Relative change of each; of the false share, that of the hits of all seeds together.
        low, high: Its 95 % interval, by a bootstrap over users.
        p: Two-sided p of the change in false share.
    """

    values: np.ndarray
    change: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: float

    @property
    def loses_little(self) -> bool:
        """Whether recall falls by no more than is allowed."""
        return bool(self.change[0] >= -MAX_RECALL_LOSS)


def effects(by_policy: dict[str, list[Run]]) -> dict[str, Effect]:
    """Returns the effect of each policy, plain training first, whose trainings with each seed are given."""
    sums = np.stack([_user_sums(runs) for runs in by_policy.values()], axis=1)  # [U, policies, 4]
    rng, users = np.random.default_rng(0), len(sums)
    flat = sums.reshape(users, -1)
    drawn = np.stack([np.bincount(rng.integers(users, size=users), minlength=users) @ flat for _ in range(DRAWS)])
    changes = _changes(drawn.reshape(DRAWS, *sums.shape[1:]))
    change = _changes(sums.sum(axis=0)[None])[0]
    low, high = np.quantile(changes, [0.025, 0.975], axis=0)
    found = {}
    for n, (policy, runs) in enumerate(by_policy.items()):
        values = np.mean([[run.metrics[metric] for metric in METRICS] for run in runs], axis=0)
        tail = min((changes[:, n, 2] >= 0).mean(), (changes[:, n, 2] <= 0).mean())
        found[policy] = Effect(values, change[n], low[n], high[n], float(min(1.0, 2 * tail + 1 / DRAWS)))
    return found


def _user_sums(runs: Sequence[Run]) -> np.ndarray:
    """Returns recall, NDCG, disliked and judged hits of each user, summed over the seeds, `[U, 4]`, by user code."""
    frames = []
    for run in runs:
        users = run.evaluation.per_user
        disliked, judged = judged_hits(users, K)
        frames.append(users[["user", *METRICS[:2]]].assign(disliked=disliked, judged=judged))
    return pd.concat(frames).groupby("user").sum().to_numpy()


def _changes(sums: np.ndarray) -> np.ndarray:
    """Returns the change of recall, NDCG and false share against the first policy, from sums `[D, policies, 4]`."""
    measures = np.stack([sums[..., 0], sums[..., 1], sums[..., 2] / sums[..., 3]], axis=-1)
    return measures / measures[:, :1] - 1


def rows(line: Line, found: dict[str, Effect]) -> list[str]:
    """Returns the rows of a line, and what of it was asked."""
    known = f"{line.share:.0%}" if line.share else "none"
    lines = []
    for policy, effect in found.items():
        cells = [f"{value:.4f}" for value in effect.values]
        if policy != "standard":
            bounds = zip(cells, effect.change, effect.low, effect.high, strict=True)
            cells = [f"{cell} ({change:+.1%}: {low:+.1%} to {high:+.1%})" for cell, change, low, high in bounds]
            cells[1] = cells[1].split(":")[0] + ")"
        p = "" if policy == "standard" else f"{effect.p:.2g}"
        verdict = _verdict(line, effect) if policy == line.of and line.fewer is not None else ""
        lines.append(f"| {line.data} | {line.model} | {known} | {policy} | {' | '.join(cells)} | {p} | {verdict} |")
    if line.of:
        return lines
    within = {policy: each for policy, each in found.items() if each.loses_little and policy != "random_drop"}
    best = min(within, key=lambda policy: within[policy].change[2])
    verdict = "" if line.fewer is None else _verdict(line, within[best])
    text = f"fewest disliked at {MAX_RECALL_LOSS:.0%} lower recall at most: {best} ({within[best].change[2]:+.1%})"
    return [*lines, f"| {line.data} | {line.model} | {known} | {text} | | | | | {verdict} |"]


def _verdict(line: Line, effect: Effect) -> str:
    assert line.fewer is not None
    reached = effect.change[2] <= line.fewer and effect.change[0] >= line.recall and effect.p < SIGNIFICANT
    return f"{line.fewer:.0%} at {line.recall:+.0%} asked: {'reached' if reached else '**not reached**'}"


def noise_row(line: Line, saved: Sequence[SavedRun]) -> str:
    """Returns which strengths were chosen, and how well the noise model tells disliked clicks."""
    records = [run.strength for each in saved for run in each.runs if run.policy == "noise_model" and run.strength]
    chosen = ", ".join("{policy} {power:g}/{gamma:g}".format(**record["chosen"]) for record in records)
    known = np.array([[record["noise_model"]["auc"], *record["noise_model"]["auc_interval"]] for record in records])
    auc, low, high = known.mean(axis=0)
    others = [_auc_of_others(each) for each in saved]
    cells = f"{auc:.3f} ({low:.3f} to {high:.3f}) | {np.mean(others):.3f} ({min(others):.3f} to {max(others):.3f})"
    return f"| {line.data} | {line.model} | {line.share:.0%} | {chosen} | {cells} |"


def _auc_of_others(saved: SavedRun) -> float:
    clicks = saved.data.train
    noise = NoiseModel.fit(clicks, saved.data.num_users, saved.data.num_items)
    others = clicks.take(~np.logical_or(clicks.known_positive, clicks.known_negative))
    assert others.false_positive is not None  # they have ratings
    return Calibration.of(others.false_positive, noise.predict(others.user, others.item)).auc


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
    axes.legend(fontsize=8, title="along a line: ranked by (1-p)^0 to (1-p)^2")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measures what is missing, and prints and writes the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.denoising")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/denoising"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument(
        "names", nargs="*", metavar="LINE", help=f"what to measure of {', '.join(line.name for line in LINES)}; default all"
    )
    given = parser.parse_args()
    if unknown := set(given.names) - {line.name for line in LINES}:
        parser.error(f"unknown line {', '.join(sorted(unknown))}")
    header = f"| data | model | known | policy | {' | '.join(METRICS)} | p (false share) | |\n|{'---|' * 9}"
    about = "| data | model | known | chosen, by seed: power/gamma | AUC, known clicks held out | AUC, the other clicks |"
    tables = {WITH: [header], WITHOUT: [header], AUC: [about, f"|{'---|' * 6}"]}
    for line in LINES:
        runs = [(given.work / f"{line.name}-{seed}", settings(line, seed, given.data)) for seed in range(given.seeds)]
        wanted = not given.names or line.name in given.names
        saved = [each for run in runs if (each := measure(*run) if wanted else finished(*run))]
        if len(saved) < given.seeds:
            continue
        by_policy: dict[str, list[Run]] = {policy: [] for policy in line.policies}
        for each in saved:
            for run in each.trained.values():
                by_policy[str(run.policy)].append(replace(run, per_user=read_per_user(each.layout, run.name)))
        tables[WITH if line.share else WITHOUT] += (told := rows(line, effects(by_policy)))
        print("\n".join([header, *told]), flush=True)
        if line.share:
            tables[AUC].append(noise_row(line, saved))
            print("\n".join([*tables[AUC][:2], tables[AUC][-1]]), flush=True)
            frontiers = [run.strength["frontier"] for run in by_policy["noise_model"] if run.strength]
            draw(line, frontiers, PICTURES / f"{line.name}.svg")
    if given.seeds == SEEDS:
        page = PAGE.read_text(encoding="utf-8")
        for name, content in tables.items():
            begin, end = BEGIN.format(name), END.format(name)
            before, after = page.split(begin)[0], page.split(end)[1]
            page = "\n".join([f"{before}{begin}", *content, f"{end}{after}"])
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
