"""Tables on what recall cannot see: disliked items that a method shows, variety, and what an oracle gains."""

from __future__ import annotations

from collections.abc import Sequence

from tfadt.config.training import ADT_ALONE
from tfadt.evaluation.metrics import LESS_IS_BETTER
from tfadt.experiments.comparison import Comparison, Row
from tfadt.registry import PLAIN, is_out_of_reach, policy_label

Table = tuple[list[str], list[list[str]]]

_SHOWN = ("false_share", "anti_precision", "coverage", "novelty")
_GAPS = ("recall", "ndcg", "false_share", "anti_precision")
_LEAST_GAP = 1e-12


def variety_table(table: Sequence[Row], tests: Sequence[Comparison], k: int) -> Table:
    """Returns header and cells: each method's false positives and variety at k, with intervals over users.

    Beside them stand the corrected p-values of the tests against plain training of the same model.
    Metrics that were not measured have no column.
    """
    metrics = [metric for metric in (f"{name}@{k}" for name in _SHOWN) if all(metric in row.metrics for row in table)]
    p_values = {(t.model, t.policy, t.plan, t.metric): t.p_holm for t in tests if t.baseline == PLAIN}
    header = ["model", "policy", *metrics]
    cells = []
    for row in table:
        values = [_value(row, metric, p_values.get((row.model, str(row.policy), row.plan, metric))) for metric in metrics]
        cells.append([row.model, policy_label(row.policy) + _plan(row), *values])
    return header, cells


def gap_table(table: Sequence[Row], k: int) -> Table:
    """Returns header and cells: which share of the way from plain training to the oracle a policy goes, metric by metric.

    1 is as good as the oracle, 0 as plain training. Models without both have no row; a metric on which the oracle gains
    nothing has no share.
    """
    by_method = {(row.model, row.policy): row for row in table if row.plan == ADT_ALONE}
    metrics = [metric for metric in (f"{name}@{k}" for name in _GAPS) if all(metric in row.metrics for row in table)]
    cells = []
    for (model, policy), row in by_method.items():
        plain = by_method.get((model, PLAIN))
        oracle = next((each for (of, p), each in by_method.items() if of == model and is_out_of_reach(p)), None)
        if plain is None or oracle is None or policy == PLAIN or is_out_of_reach(policy):
            continue
        cells.append([model, str(policy), *(_share(row, plain, oracle, metric) for metric in metrics)])
    return ["model", "policy", *metrics], cells


def _value(row: Row, metric: str, p_value: float | None) -> str:
    text = f"{row.metrics[metric][0]:.4f}"
    if metric in row.intervals:
        low, high = row.intervals[metric]
        text += f" [{low:.4f}, {high:.4f}]"
    return text if p_value is None else f"{text}, p = {p_value:.2g}"


def _share(row: Row, plain: Row, oracle: Row, metric: str) -> str:
    gap = oracle.metrics[metric][0] - plain.metrics[metric][0]
    if abs(gap) < _LEAST_GAP:
        return "no gap"
    gains = gap < 0 if metric.startswith(LESS_IS_BETTER) else gap > 0
    share = f"{(row.metrics[metric][0] - plain.metrics[metric][0]) / gap:+.2f}"
    return share if gains else f"the oracle is worse ({gap:+.4f})"


def _plan(row: Row) -> str:
    return "" if row.plan == ADT_ALONE or row.policy is None else f" {row.plan}"
