"""The pictures of what validation chose: settings of policies, strengths of denoising, lambda of colliding inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tfadt.report.drawing import COLOURS, DASHES, MARKERS, TEXT, Picture, canvas, file_name, handles, legend, picture
from tfadt.report.numbers import method_label, model_label, policy_label

_COLUMNS = 3


def setting_pictures(results: Mapping[str, Any]) -> list[Picture]:
    """Draws for each model the score of every trial over each setting of a policy (the paper's Figure 10)."""
    if results["tuned"] is None:
        return []
    found = []
    searches = [each for each in results["tuned"]["searches"] if results["summary"]["roles"].get(each["policy"]) != "plain"]
    for model in dict.fromkeys(each["model"] for each in searches):
        tried = _tried([each for each in searches if each["model"] == model])
        if not len(tried):
            continue
        panels = [(str(policy), str(name), own) for (policy, name), own in tried.groupby(["policy", "setting"], sort=False)]
        columns = min(_COLUMNS, len(panels))
        rows = -(-len(panels) // columns)
        figure, axes = canvas(0.4 + 2.4 * rows, columns, rows, sharey=True)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        for axis, (policy, setting, own) in zip(axes, panels, strict=False):
            best = own.groupby("value")["score"].max()
            axis.plot(own["value"], own["score"], color=COLOURS[0], marker="o", linestyle="", alpha=0.4)
            axis.plot(best.index, best, color=COLOURS[0])
            axis.set_xlabel(f"{setting}\n{policy_label(policy)}")
        figure.supylabel(results["tuned"]["objective"], color=TEXT, fontsize=11)
        names = [f"{setting} of {policy_label(policy)}" for policy, setting, _ in panels]
        found.append(
            picture(
                f"settings_{file_name(model)}",
                figure,
                f"What {model_label(model)} reached on validation in each trial, over {', '.join(names)}.",
                f"{model_label(model)}: a point is a trial, the line goes through the best one at each value. Trials of one "
                "seed: differences as small as those between seeds tell nothing.",
                tried,
            )
        )
    return found


def _tried(searches: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Returns the score of each trial at each numeric setting of its policy that took more than one value."""
    lines = [
        {
            "model": each["model"],
            "policy": each["policy"],
            "setting": key.rpartition(".")[2],
            "value": value,
            "score": trial["score"],
        }
        for each in searches
        for trial in each["tried"]
        for key, value in trial["settings"].items()
        if trial["score"] is not None
        and key.startswith("policy.")
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    ]
    table = pd.DataFrame(lines)
    return table[table.groupby(["policy", "setting"])["value"].transform("nunique") > 1] if lines else table


def strength_pictures(summary: Mapping[str, Any]) -> list[Picture]:
    """Draws the frontier that each strength of denoising was chosen from, both measures as validation expects them."""
    found = []
    for each in summary["strengths"]:
        figure, (axis,) = canvas(3.8)
        kinds = list(dict.fromkeys(candidate["policy"] for candidate in each["candidates"]))
        for candidate in each["candidates"]:
            n = kinds.index(candidate["policy"])
            point = candidate["expected_recall"], 100 * candidate["expected_false_share"]
            full = "full" if candidate["chosen"] else "none"
            axis.plot(
                *point, color=COLOURS[n % len(COLOURS)], marker=MARKERS[n % len(MARKERS)], fillstyle=full, markersize=8
            )
            if candidate["chosen"]:
                axis.annotate(f"{candidate['chosen']}", point, xytext=(7, 7), textcoords="offset points", color=TEXT)
        axis.invert_yaxis()
        axis.set(xlabel=f"expected recall@{each['k']}", ylabel="expected to be disliked, %")
        legend(figure, handles([policy_label(kind) for kind in kinds]), 3)
        name = method_label(each)
        found.append(
            picture(
                f"strength_{file_name(each['model'], each['policy'], each['plan'])}",
                figure,
                f"Expected recall at {each['k']} on validation against the expected share of disliked items, a point for "
                f"each of {len(each['candidates'])} strengths of {name}; the chosen ones are filled.",
                f"{name}: each point is a strength that was tried, the mean of the seeds. Filled: chosen, by as many seeds "
                "as stand beside it. Up and to the right is better.",
                pd.DataFrame([{**{key: each[key] for key in ("model", "plan")}, **line} for line in each["candidates"]]),
            )
        )
    return found


def colliding_pictures(summary: Mapping[str, Any]) -> list[Picture]:
    """Draws recall on validation over lambda for each training and group of users (the paper's Figure 11)."""
    found = []
    rows = [each for each in summary["colliding"] if each["curve"] is not None]
    for model, policy, plan in dict.fromkeys((each["model"], each["policy"], each["plan"]) for each in rows):
        own = [each for each in rows if (each["model"], each["policy"], each["plan"]) == (model, policy, plan)]
        name = method_label(own[0])
        figure, (axis,) = canvas(3.8)
        thresholds = list(dict.fromkeys(each["group"]["below"] for each in own))
        for each in own:
            colour = COLOURS[thresholds.index(each["group"]["below"]) % len(COLOURS)]
            axis.plot(each["lambdas"], each["curve"], color=colour, linestyle=DASHES[each["group"]["include_empty"]])
        axis.axhline(1.0, color=TEXT, linewidth=0.8, linestyle=":")
        axis.set(xlabel="lambda (1: the plain ranking)", ylabel="recall, plain = 1")
        groups = handles([f"ratio below {below:g}" for below in thresholds])
        legend(figure, [*groups, *handles(["with some extra feedback", "with those without any"], dashes=True)], 2)
        found.append(
            picture(
                f"colliding_{file_name(model, policy, plan)}",
                figure,
                f"Recall on validation over lambda for {name}, as a share of the plain ranking's, in {len(own)} groups of "
                "users.",
                f"{name}: recall on validation over the weight of a user's own predictions, at the chosen number of "
                "neighbours. Ratio: a user's extra feedback over its clicks.",
                pd.DataFrame(
                    [
                        {"model": model, "policy": policy, "plan": plan, **each["group"], "lambda": at, "recall": value}
                        for each in own
                        for at, value in zip(each["lambdas"], each["curve"], strict=True)
                    ]
                ),
            )
        )
    return found
