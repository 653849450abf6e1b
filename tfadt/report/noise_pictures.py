"""The pictures of noise: where the false positives are, how their loss falls, and what a policy drops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tfadt.report.drawing import COLOURS, DASHES, TEXT, Picture, canvas, file_name, handles, legend, picture
from tfadt.report.numbers import model_label, policy_label


def false_positive_picture(summary: Mapping[str, Any]) -> Picture | None:
    """Draws the share of false positives by popularity of the item and by activity of the user; None without feedback."""
    found = summary["false_positives"]
    if found is None:
        return None
    figure, axes = canvas(3.0, columns=2, sharey=True)
    lines = []
    for axis, (by, members) in zip(axes, (("popularity", "items"), ("activity", "users")), strict=True):
        groups = found[f"by_{by}"]
        axis.bar(range(len(groups)), [100 * group["share"] for group in groups], color=COLOURS[0], width=0.8)
        axis.axhline(100 * found["share"], color=TEXT, linewidth=0.9, linestyle="--")
        axis.set_xticks([0, len(groups) - 1], ["least", "most"])
        axis.set_xlabel(f"{members} by {by}")
        axis.grid(False, axis="x")
        lines += [{"by": by, "group": n + 1, **group} for n, group in enumerate(groups)]
    axes[0].set_ylabel("false positives, %")
    ends = [
        f"{100 * found[f'by_{by}'][end]['share']:.1f} per cent of the clicks {who}"
        for by, end, who in (
            ("popularity", 0, "on the least popular items"),
            ("popularity", -1, "on the most popular"),
            ("activity", 0, "of the least active users"),
            ("activity", -1, "of the most active"),
        )
    ]
    return picture(
        "false_positives",
        figure,
        f"Share of false positives: {', '.join(ends)}.",
        "Items and users in groups of equal clicks; the dashed line is the share of all training clicks.",
        pd.DataFrame(lines),
    )


def loss_pictures(summary: Mapping[str, Any]) -> list[Picture]:
    """Draws for each model the loss of true and of false positives over the epochs (the paper's Figures 2 and 8)."""
    found = []
    for model, curves in _by_model(summary["losses"]).items():
        shown = [curve for curve in curves if summary["roles"][curve["policy"]] in ("plain", "denoising")][: len(COLOURS)]
        figure, (axis,) = canvas(3.8)
        for curve, colour in zip(shown, COLOURS, strict=False):
            for name, dash in zip(("true_positive_loss", "false_positive_loss"), DASHES, strict=False):
                axis.plot(curve["epoch"], curve[name], color=colour, linestyle=dash, marker=_point(curve))
        axis.set(xlabel="epoch", ylabel="mean loss of a click")
        axis.locator_params(axis="x", integer=True)
        labels = handles(["true positives", "false positives"], dashes=True)
        legend(figure, [*handles([_policy(curve) for curve in shown]), *labels], 2)
        found.append(
            picture(
                f"losses_{file_name(model)}",
                figure,
                f"Loss of true and of false positives over the epochs of {model_label(model)}, for "
                f"{', '.join(_policy(curve) for curve in shown)}.",
                f"{model_label(model)}: where the loss tells false positives, the dashed lines are above the solid ones.",
                _lines(shown),
            )
        )
    return found


def dropped_pictures(summary: Mapping[str, Any]) -> list[Picture]:
    """Draws for each model the precision and recall of what was dropped, beside a random drop (the paper's Figure 9)."""
    found = []
    for model, curves in _by_model(summary["dropped"]).items():
        shown = [curve for curve in curves if summary["roles"][curve["policy"]] != "oracle"][: len(COLOURS)]
        if not shown:
            continue
        figure, axes = canvas(3.4, columns=2)
        for axis, measure in zip(axes, ("precision", "recall"), strict=True):
            for curve, colour in zip(shown, COLOURS, strict=False):
                for kind, dash in (("drop", DASHES[0]), ("random", DASHES[1])):
                    values = [100 * value for value in curve[f"{kind}_{measure}"]]
                    axis.plot(curve["epoch"], values, color=colour, linestyle=dash, marker=_point(curve))
            axis.set(xlabel="epoch", ylabel=f"{measure}, %")
            axis.locator_params(axis="x", integer=True)
        labels = handles(["what was dropped", "as many at random"], dashes=True)
        legend(figure, [*handles([_policy(curve) for curve in shown]), *labels], 2)
        found.append(
            picture(
                f"dropped_{file_name(model)}",
                figure,
                f"Precision and recall of the clicks that {', '.join(_policy(curve) for curve in shown)} dropped in "
                f"training {model_label(model)}, over the epochs, beside as many dropped at random.",
                f"{model_label(model)}: precision is the share of false positives among the dropped, recall the share of "
                "the false positives that was dropped.",
                _lines(shown),
            )
        )
    return found


def injected_picture(injected: Mapping[str, Any] | None) -> Picture | None:
    """Draws which share of the noise of known truth each policy catches; None where none was injected."""
    rows = [] if injected is None else [each for each in injected["policies"] if each["caught"] is not None]
    if injected is None or not rows:
        return None
    figure, (axis,) = canvas(1.2 + 0.33 * len(rows))
    labels = [policy_label(each["policy"]) for each in rows]
    shares = [100 * each["caught"] for each in rows]
    bars = axis.barh(range(len(rows)), shares, color=COLOURS[0], height=0.6)
    axis.bar_label(bars, [f" {share:.0f} %" for share in shares], color=TEXT)
    axis.axvline(100 * rows[0]["random"], color=TEXT, linewidth=0.9, linestyle="--")
    axis.set_yticks(range(len(rows)), labels)
    axis.invert_yaxis()
    axis.grid(False)
    axis.margins(x=0.15)
    axis.set_xlabel("% of the injected clicks caught")
    said = "; ".join(f"{label} {share:.0f} per cent" for label, share in zip(labels, shares, strict=True))
    return picture(
        "injected",
        figure,
        f"Share of the injected clicks among those that each policy trusts least: {said}.",
        "Of the clicks that a policy trusts least, as many as were injected: how many of the injected ones are among them. "
        "The dashed line is a random choice. Plain training: the clicks of the largest loss.",
        pd.DataFrame(rows),
    )


def _by_model(curves: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for curve in curves:
        found.setdefault(curve["model"], []).append(curve)
    return found


def _policy(curve: Mapping[str, Any]) -> str:
    return policy_label(curve["policy"]) + ("" if curve["plan"] == "adt" else f", {curve['plan']}")


def _point(curve: Mapping[str, Any]) -> str:
    return "o" if len(curve["epoch"]) == 1 else ""  # a line of one point is not seen


def _lines(curves: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(dict(curve)) for curve in curves], ignore_index=True)
