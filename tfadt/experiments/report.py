"""`results.json` and `results.md` of a run."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfadt.atomic import write_text
from tfadt.config import Config
from tfadt.config.loading import dump
from tfadt.config.training import ADT_ALONE
from tfadt.data.account import summary
from tfadt.data.interactions import InteractionData
from tfadt.evaluation.metrics import LESS_IS_BETTER
from tfadt.evaluation.protocol import why_no_disliked
from tfadt.evaluation.rules import BY_RECALL, ENOUGH_KNOWN, selection_k, selection_rule, validation_rows
from tfadt.experiments.choice import Deployed, deployed, export_command
from tfadt.experiments.collide import Collided
from tfadt.experiments.comparison import (
    ACCURACY,
    ENOUGH_SEEDS,
    SIGNIFICANT,
    Comparison,
    Row,
    comparisons,
    rows,
    tested_metrics,
)
from tfadt.experiments.disliked import gap_table, variety_table
from tfadt.experiments.extra_feedback import colliding_table, training_table, uses_extra_feedback
from tfadt.experiments.layout import PAGE, REPORT, RESULTS
from tfadt.experiments.run import POPULAR, SCHEMA, Run, is_floor
from tfadt.experiments.summary import summary as summarised
from tfadt.registry import PLAIN, policy_label
from tfadt.training.plan import is_closed_form
from tfadt.versions import versions

_ONE_DRAW = (
    "The extra feedback is part of the data: a share of the true positives (`ingest.extra_feedback.share`) is drawn "
    "once, for every seed. The spread is that of training; `ingest.extra_feedback.seed` draws anew."
)


_DROP_RATE = (
    "drop rate: share of the rows that a policy left out in the epoch that was kept; under cross-entropy and square loss a "
    "negative is a row, too."
)

_LESS = (
    "false_share: of the test items known to be liked or disliked among the best k, the share disliked; anti_precision: "
    "disliked ones / k; coverage: share of the catalogue that anybody is shown; novelty: mean -log2 of the share of users "
    "who clicked a shown item. Fewer disliked items are no gain if recall falls with them: read both."
)


def write_report(
    config: Config,
    data: InteractionData,
    runs: Sequence[Run],
    out: Path,
    collided: Sequence[Collided] = (),
    tuned: Mapping[str, Any] | None = None,
    injected: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes `results.json` and `results.md`, each under a temporary name first.

    Args:
        config: The settings.
        data: The data set.
        runs: The runs so far.
        out: The run's folder.
        collided: What colliding inference found.
        tuned: What a search found before, for the page; None where there was none.
        injected: What the policies catch of noise of known truth, for the page; None where none was injected.

    Returns:
        What `results.json` holds: `runs`, `methods` (means and intervals), `comparisons`, `colliding`, `left_out` (metrics
        that could not be measured, and why), `activity_groups`, `summary` (what the page shows), `data`, `config`,
        `versions`.
    """
    first = config.evaluate.k[0]
    tests = comparisons(runs, tested_metrics(runs, config.evaluate.k))
    table = rows(runs)
    results = {
        "schema": SCHEMA,
        "runs": [run.as_dict() for run in runs],
        "methods": [row.as_dict() for row in table],
        "comparisons": [test.as_dict() for test in tests],
        "colliding": [each.as_dict() for each in collided],
        "left_out": {f"{name}@k": why for name in LESS_IS_BETTER if (why := why_no_disliked(data)) is not None},
        "activity_groups": {run.name: run.evaluation.by_group(f"recall@{first}") for run in runs},
        "summary": summarised(config, data, runs, table, tests, out, collided, injected),
        "tuned": tuned,
        "injected": injected,
        "data": data.manifest,
        "config": dump(config),
        "versions": versions(),
    }
    write_text(out / RESULTS, json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    write_text(out / REPORT, markdown(config, data, table, tests, runs, out, collided))
    return results


def table_cells(table: Sequence[Row], ks: Sequence[int]) -> tuple[list[str], list[list[str]]]:
    """Returns the header and the cells of the results table, for Markdown and for the terminal."""
    metrics = [f"{name}@{k}" for k in ks for name in ("recall", "ndcg")]
    metrics += [name for name in [f"false_share@{ks[0]}"] if all(name in row.metrics for row in table)]
    with_plan = any(row.plan != ADT_ALONE for row in table)
    header = ["model", "policy", *(["plan"] if with_plan else []), *metrics, "drop rate", "seconds"]
    cells = []
    for row in table:
        values = [
            f"{mean:.4f}" + (f" ± {std:.4f}" if row.seeds > 1 else "") for mean, std in (row.metrics[m] for m in metrics)
        ]
        plan = [row.plan if row.policy else ""] if with_plan else []
        cells.append([row.model, policy_label(row.policy), *plan, *values, f"{row.drop_rate:.3f}", f"{row.seconds:.1f}"])
    return header, cells


def method_name(method: Row | Comparison | Deployed) -> str:
    """Returns what a sentence calls a method: model, policy and, where they are not ADT alone, its stages."""
    return f"{method.model} {policy_label(method.policy)}" + ("" if method.plan == ADT_ALONE else f" {method.plan}")


def selection_line(config: Config, data: InteractionData) -> str:
    """Returns one sentence on the rule that chose the checkpoints, and why it did where that was left to the data."""
    given = config.adt.selection
    rule = selection_rule(given, data)
    line = f"Checkpoints of every policy by `{rule}`"
    if rule in BY_RECALL:
        line += f" at {selection_k(config, data)}"
        users = len(np.unique(validation_rows(rule, data).user))
        ranked = config.evaluate.valid_sample(users)
        if ranked < users:
            line += f" of {'at most ' if config.evaluate.valid_users == 'auto' else ''}{ranked:,} of {users:,} users"
    if given == "auto":
        line += f" (`auto`: {_why(rule, data)})"
    return f"{line}."


def _why(rule: str, data: InteractionData) -> str:
    """Returns why `auto` takes the rule."""
    if rule == "expected_val_recall":
        return "each validation interaction counts by how likely it is liked, learned from the known clicks of training"
    known = data.valid.known_positive
    count = 0 if known is None else int(known.sum())
    return f"{count:,} validation interactions are known to be liked, {ENOUGH_KNOWN} are enough"


def _tests_parts(what: str, tests: Sequence[Comparison], baseline: str, k: int) -> list[str]:
    """Returns the tests on recall and NDCG at k against a baseline as a table under a line; nothing where there are none."""
    metrics = [f"{name}@{k}" for name in ACCURACY]
    by_method: dict[tuple[str, str, str], dict[str, Comparison]] = {}
    for test in tests:
        if test.baseline == baseline and test.metric in metrics:
            by_method.setdefault((test.model, test.policy, test.plan), {})[test.metric] = test
    if not by_method:
        return []
    cells = [
        [method_name(next(iter(own.values()))), *(_test_cell(own[m]) for m in metrics if m in own)]
        for own in by_method.values()
    ]
    return [
        f"Against {what}: difference, its 95 % interval, p over users (Holm over this table) and verdict.",
        _markdown_table(["method", *metrics], cells),
    ]


def _test_cell(test: Comparison) -> str:
    t = test.test
    return f"{t.difference:+.4f} [{t.ci_low:+.4f}, {t.ci_high:+.4f}], p = {test.p_holm:.2g}: {test.verdict}"


def data_line(data: InteractionData) -> str:
    """Returns one sentence on the data: whether it is simulated, its size, and whether the test is clean."""
    manifest = data.manifest
    counts, feedback = manifest["counts"], manifest["feedback"]
    kind = "Simulated data, not real clicks" if manifest["source"]["simulated"] else manifest["source"]["name"]
    share = manifest["false_positive_share"]["train"]
    if feedback["rule"] == "none":
        clean = "There is no feedback column, so the test CANNOT be clean: regretted clicks count as relevant in it."
    else:
        rule = feedback["rule"] + (f" < {feedback['threshold']:g}" if feedback["threshold"] is not None else "")
        kept = "true positives only" if feedback["clean_test"] else "all interactions (clean_test is off)"
        clean = f"False positive: {rule} ({share:.1%} of training). Test keeps {kept}."
    return (
        f"{kind}: {counts['users']:,} users, {counts['items']:,} items, {counts['train']:,} training, "
        f"{counts['valid']:,} validation, {counts['test']:,} test interactions. {clean}"
    )


def verdict_lines(table: Sequence[Row], tests: Sequence[Comparison], k: int, config: Config) -> list[str]:
    """Returns a sentence for each policy, on recall@k: does denoising help here? Then: which methods beat popularity?"""
    metric = f"recall@{k}"
    lines = []
    for test in tests:
        if (test.baseline, test.metric) == (PLAIN, metric):
            t = test.test
            lines.append(
                f"{method_name(test)}: {metric} {t.difference:+.4f} against plain training "
                f"(95 % interval {t.ci_low:+.4f} to {t.ci_high:+.4f}, p = {test.p_holm:.3g} (Holm) over {t.users:,} users"
                f"{_seeds(test)}): {test.verdict}."
            )
    seeds = max((test.seed_test.users for test in tests), default=ENOUGH_SEEDS)
    if seeds < 2:
        lines.append("One seed: the luck of training is not in these tests; --seeds 5 or more puts it in.")
    elif seeds < ENOUGH_SEEDS:
        lines.append(f"{seeds} seeds cannot tell a policy from the luck of training: a verdict needs {ENOUGH_SEEDS}.")
    if solved := [model for model in dict.fromkeys(row.model for row in table if row.policy) if is_closed_form(model)]:
        taken = {row.policy for row in table if row.model in solved}
        asked = [*(() if config.adt.trainings else config.adt.policies), *(row.policy for row in table if row.policy)]
        others = [policy for policy in dict.fromkeys(asked) if policy not in taken]
        if others:
            names, verb = ", ".join(others), "does" if len(others) == 1 else "do"
            lines.append(f"{', '.join(solved)}: solved in closed form, without a loss of a row: {names} {verb} not apply.")
    return [*lines, *_floor_lines(table, tests, metric)]


def _floor_lines(table: Sequence[Row], tests: Sequence[Comparison], metric: str) -> list[str]:
    """Returns which methods are above the most popular items for certain, and which are not."""
    floor = next((row.metrics[metric][0] for row in table if is_floor(row.model, row.policy, row.plan.split("+"))), None)
    against = [test for test in tests if (test.baseline, test.metric) == (POPULAR, metric)]
    above = [test for test in against if test.test.difference > 0 and test.p_holm < SIGNIFICANT]
    certain = [f"{method_name(test)} (p = {test.p_holm:.2g})" for test in above]
    others = [f"{method_name(test)} ({test.test.difference:+.4f})" for test in against if test not in above]
    said = f"the most popular items ({metric} {floor:.4f})"
    lines = [f"Above {said} with p < {SIGNIFICANT} over users (Holm): {', '.join(certain)}."] if certain else []
    return [*lines, *([f"Not above {said} for certain: {', '.join(others)}."] if others else [])]


def deploy_lines(runs: Sequence[Run], out: Path) -> list[str]:
    """Returns a sentence on what to deploy, and the command that exports it; nothing where nothing was chosen."""
    chosen = deployed(runs)
    if chosen is None:
        return []
    if chosen.expected:
        why = f"validation expects fewer disliked items of it than of plain {chosen.model}"
    elif chosen.valid_recall is None:
        why = "there is no other candidate"
    else:
        why = "the best recall on validation"
    return [f"To deploy: {method_name(chosen)} ({why}), which this exports:", export_command(out, chosen.training)]


def markdown(
    config: Config,
    data: InteractionData,
    table: Sequence[Row],
    tests: Sequence[Comparison],
    runs: Sequence[Run],
    out: Path,
    collided: Sequence[Collided] = (),
) -> str:
    """Returns `results.md`."""
    deploy = deploy_lines(runs, out)
    header, cells = table_cells(table, config.evaluate.k)
    first = config.evaluate.k[0]
    title = "# Results on simulated data" if data.manifest["source"]["simulated"] else "# Results"
    parts = [
        title,
        _escaped(data_line(data)),
        f"With pictures, once the run is over: [{PAGE}]({PAGE}).",
        f"Full ranking over all items, seen items masked ({config.evaluate.mask}). {selection_line(config, data)} "
        + ("One seed." if config.adt.seeds == 1 else f"Mean ± standard deviation over {config.adt.seeds} seeds."),
        _markdown_table(header, cells),
        _DROP_RATE if any(row.drop_rate for row in table) else "",
        f"{deploy[0]}\n\n    {deploy[1]}" if deploy else "",
        "## Does denoising help here?",
        "\n".join(f"- {line}" for line in verdict_lines(table, tests, first, config)) or "There is nothing to compare.",
        *_tests_parts("plain training of the same model", tests, PLAIN, first),
        *_tests_parts("the most popular items", tests, POPULAR, first),
        "## Disliked items, and variety",
        *disliked_parts(data, table, tests, first),
        *_extra_feedback_parts(config, data, runs, collided),
        f"## recall@{first} by activity (four groups of equal interactions, least active first)",
        _markdown_table(
            ["run", "1", "2", "3", "4"],
            [[run.name, *map(_number, run.evaluation.by_group(f"recall@{first}"))] for run in runs],
        ),
        "## Every row accounted for",
        "\n".join(f"- {_escaped(line)}" for line in [*account_lines(data, runs), *data.manifest.get("warnings", ())]),
        f"Content fingerprint `{data.manifest['fingerprint']}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def disliked_parts(data: InteractionData, table: Sequence[Row], tests: Sequence[Comparison], k: int) -> list[str]:
    """Returns the parts of `results.md` on what recall cannot see: disliked items, variety, and what the oracle gains."""
    why = why_no_disliked(data)
    parts = [f"false_share and anti_precision are left out: {why}."] if why else []
    parts += ["95 % intervals over users in brackets. " + _LESS, _markdown_table(*variety_table(table, tests, k))]
    header, cells = gap_table(table, k)
    if cells:
        parts += [
            "Share of the gap between plain training and the oracle that a policy closes:",
            _markdown_table(header, cells),
        ]
    return parts


def _extra_feedback_parts(
    config: Config, data: InteractionData, runs: Sequence[Run], collided: Sequence[Collided]
) -> list[str]:
    parts = []
    if uses_extra_feedback(runs):
        parts += ["## Training with extra feedback", _ONE_DRAW, _markdown_table(*training_table(runs, config.evaluate.k))]
    if collided:
        parts += [
            "## Colliding inference",
            f"Mixed {collided[0].mix}; lambda and |N| (of each seed) by recall@{selection_k(config, data)} on validation.",
            _markdown_table(*colliding_table(collided, config.evaluate.k)),
        ]
    return parts


def account_lines(data: InteractionData, runs: Sequence[Run]) -> list[str]:
    """Returns the account of every row, and of the training interactions that got no negative."""
    lines = summary(data.manifest)
    without = max(run.without_negative for run in runs)
    if without:
        lines.append(f"trained on without a negative (their users have every item): {without:,}")
    return lines


def _seeds(test: Comparison) -> str:
    return f", p = {test.seed_test.p_value:.3g} over {test.seed_test.users} seeds" if test.seed_test.users > 1 else ""


def _escaped(text: str) -> str:
    """Returns text for Markdown in which the names of files and columns are no markup."""
    return re.sub(r"([\\`*\[\]|])", r"\\\1", html.escape(text, quote=False))


def _number(value: float | None) -> str:
    return "no users" if value is None else f"{value:.4f}"


def _markdown_table(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
