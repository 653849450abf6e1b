"""The pictures of the page, drawn from `results.json`; one that has nothing to show is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tfadt.report.drawing import COLOURS, MARKERS, TEXT, Picture, canvas, handles, legend, picture
from tfadt.report.noise_pictures import (
    dropped_pictures,
    false_positive_picture,
    injected_picture,
    loss_pictures,
)
from tfadt.report.numbers import method_label, model_label, policy_label
from tfadt.report.validation_pictures import colliding_pictures, setting_pictures, strength_pictures

Results = Mapping[str, Any]

METHOD = ("model", "policy", "plan")
_FEW = len(COLOURS)
"""Rows of a legend that can be told apart."""


def pictures(results: Results) -> dict[str, list[Picture]]:
    """Returns the pictures of each section of the page, in the order in which they are shown."""
    summary = results["summary"]
    single = {
        "frontier": frontier(results),
        "gap": oracle_gap(summary),
        "groups": activity(summary),
        "noise": false_positive_picture(summary),
        "injected": injected_picture(results["injected"]),
    }
    several = {
        "losses": loss_pictures(summary),
        "dropped": dropped_pictures(summary),
        "strengths": strength_pictures(summary),
        "colliding": colliding_pictures(summary),
        "searched": setting_pictures(results),
    }
    return {name: [] if found is None else [found] for name, found in single.items()} | several


def frontier(results: Results) -> Picture | None:
    """Draws recall against the share of disliked items, every method a point; recall alone where nothing is disliked."""
    summary = results["summary"]
    k = summary["k"]
    recall, false = f"recall@{k}", f"false_share@{k}"
    methods = results["methods"]
    if not all(false in each["metrics"] for each in methods):
        return _recalls(summary, methods, recall)
    figure, (axis,) = canvas(4.6)
    models = list(dict.fromkeys(each["model"] for each in methods))
    policies = list(dict.fromkeys(each["policy"] for each in methods))
    for each in methods:
        colour = COLOURS[models.index(each["model"]) % len(COLOURS)]
        x, y = each["metrics"][recall], 100 * each["metrics"][false]
        low, high = each["intervals"][recall]
        least, most = (100 * bound for bound in each["intervals"][false])
        axis.errorbar(
            x,
            y,
            xerr=[[max(x - low, 0)], [max(high - x, 0)]],
            yerr=[[max(y - least, 0)], [max(most - y, 0)]],
            color=colour,
            ecolor=(colour, 0.35),
            marker=MARKERS[policies.index(each["policy"]) % len(MARKERS)],
            fillstyle="none" if summary["roles"].get(each["policy"]) in ("oracle", "control") else "full",
            markersize=8,
            elinewidth=1,
        )
    chosen = summary["deploy"]
    if chosen is not None:
        own = next(each for each in methods if all(each[key] == chosen[key] for key in METHOD))
        axis.annotate(
            "deploy",
            (own["metrics"][recall], 100 * own["metrics"][false]),
            xytext=(9, 9),
            textcoords="offset points",
            fontweight="bold",
            color=TEXT,
        )
    axis.invert_yaxis()
    axis.set(xlabel=f"{recall} (further right: more that is liked)", ylabel="disliked, % (further up: fewer)")
    named = [policy_label(policy) if policy is not None else "no training" for policy in policies]
    legend(figure, [*handles([model_label(model) for model in models]), *handles(named, markers=True)], 2)
    return picture(
        "frontier",
        figure,
        f"Recall at {k} against the share of disliked items among the judged hits, a point for each of {len(methods)} "
        "methods, with intervals. The table of every row has the numbers.",
        "Each point is a method, the mean of its seeds, with its 95 % intervals over users. Up and to the right is better. "
        "Hollow points cannot be deployed: the oracle and the controls.",
        _table(methods, (recall, false)),
    )


def oracle_gap(summary: Results) -> Picture | None:
    """Draws which share of the way to the oracle each policy goes; None where the oracle gains nothing certain."""
    gaps = [each for each in summary["oracle_gap"] if each["share"] is not None]
    if not gaps:
        return None
    figure, (axis,) = canvas(1.2 + 0.33 * len(gaps))
    names = {"recall": "recall", "false_share": "disliked items"}
    metrics = [each["metric"].partition("@")[0] for each in gaps]
    labels = [f"{model_label(each['model'])}, {policy_label(each['policy'])}" for each in gaps]
    shares = [100 * each["share"] for each in gaps]
    kinds = list(dict.fromkeys(metrics))
    places = list(range(len(gaps)))
    bars = axis.barh(places, shares, color=[COLOURS[kinds.index(metric)] for metric in metrics], height=0.6)
    axis.bar_label(bars, [f" {share:.0f} %" for share in shares], color=TEXT)
    axis.axvline(0, color=TEXT, linewidth=0.8)
    axis.axvline(100, color=TEXT, linewidth=0.8, linestyle=":")
    axis.set_yticks(places, labels)
    axis.invert_yaxis()
    axis.grid(False)
    axis.margins(x=0.15)
    axis.set_xlabel("% of the gap to the oracle closed")
    legend(figure, handles([names[kind] for kind in kinds]), 2)
    said = "; ".join(
        f"{label} {names[m]} {share:.0f} per cent" for label, m, share in zip(labels, metrics, shares, strict=True)
    )
    return picture(
        "oracle_gap",
        figure,
        f"Share of the gap between plain training and the oracle that each policy closes: {said}.",
        "The oracle trains on the true positives alone, which nobody knows; 100 % (dotted) would be as good. A bar to "
        "the left is worse than plain training. Gaps that are not certain themselves are left out.",
        pd.DataFrame(gaps),
    )


def activity(summary: Results) -> Picture | None:
    """Draws recall in the four groups of users; of many methods those of the deployed model and the most popular items."""
    rows = [each for each in summary["groups"] if any(value is not None for value in each["recall"])]
    chosen = summary["deploy"]
    if len(rows) > _FEW and chosen is not None:
        rows = [each for each in rows if each["model"] == chosen["model"] or each["policy"] is None]
    rows = rows[: 2 * _FEW]
    figure, (axis,) = canvas(4.2)
    labels = [method_label(each) for each in rows]
    lines = []
    for n, each in enumerate(rows):
        values = [float("nan") if value is None else value for value in each["recall"]]
        lines += axis.plot(range(len(values)), values, color=COLOURS[n % _FEW], marker=MARKERS[n % _FEW], label=labels[n])
    axis.set_xticks(range(4), ["least\nactive", "2", "3", "most\nactive"])
    axis.set(ylabel=f"recall@{summary['k']}")
    legend(figure, lines, 2)
    return picture(
        "user_groups",
        figure,
        f"Recall at {summary['k']} in four groups of users, from the least to the most active, for {len(rows)} methods.",
        "Users in four groups of equal clicks, the least active first; means over the seeds.",
        pd.DataFrame(
            [
                {**{key: each[key] for key in METHOD}, **{f"group_{n + 1}": v for n, v in enumerate(each["recall"])}}
                for each in rows
            ]
        ),
    )


def _recalls(summary: Results, methods: Sequence[Results], recall: str) -> Picture:
    figure, (axis,) = canvas(1.0 + 0.35 * len(methods))
    labels = [method_label(each) for each in methods]
    models = list(dict.fromkeys(each["model"] for each in methods))
    for n, each in enumerate(methods):
        value, (low, high) = each["metrics"][recall], each["intervals"][recall]
        error = [[max(value - low, 0)], [max(high - value, 0)]]
        axis.errorbar(
            value, n, xerr=error, marker="o", markersize=7, color=COLOURS[models.index(each["model"]) % len(COLOURS)]
        )
    axis.set_yticks(range(len(methods)), labels)
    axis.invert_yaxis()
    axis.margins(y=0.1)
    axis.set_xlabel(f"{recall} (further right is better)")
    return picture(
        "recall",
        figure,
        f"Recall at {summary['k']} of each of {len(methods)} methods, with intervals. The table of every row has the "
        "numbers.",
        "Means over the seeds with 95 % intervals over users.",
        _table(methods, (recall,)),
    )


def _table(methods: Sequence[Results], metrics: Sequence[str]) -> pd.DataFrame:
    lines = []
    for each in methods:
        line = {key: each[key] for key in METHOD}
        for metric in metrics:
            low, high = each["intervals"][metric]
            line |= {metric: each["metrics"][metric], f"{metric} low": low, f"{metric} high": high}
        lines.append(line)
    return pd.DataFrame(lines)
