"""The account of every row: rows in = rows kept + rows rejected, with reasons; warnings; what the terminal says of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from tfadt.data import feedback
from tfadt.data.cleaning import NO_TIME, Account, Rules
from tfadt.data.pairs import DUPLICATE
from tfadt.errors import DataError, printable

_MANY = 0.1
"""Share of the rows from which on missing feedback is warned of."""
_MOST_DISLIKED = 0.4
_LONG_SECONDS = 1000
_TEXT = 203


def balance(accounts: Sequence[Account], kept: Mapping[str, int]) -> dict[str, Any]:
    """Returns the account of all sources together.

    Args:
        accounts: One a source.
        kept: Rows kept, by split.

    Raises:
        RuntimeError: If it does not add up, which would be a defect of ours and a silent loss of rows.
    """
    rows_in = sum(account.rows_in for account in accounts)
    rejected: Counter[str] = sum((account.rejected for account in accounts), Counter())
    if rows_in != sum(kept.values()) + sum(rejected.values()):
        raise RuntimeError(f"Rows lost: {rows_in} in, {dict(kept)} kept, {dict(rejected)} rejected.")
    return {"in": rows_in, "kept": dict(kept), "rejected": dict(sorted(rejected.items()))}


def no_row_left(what: str, accounts: Sequence[Account], doubts: Sequence[str] = ()) -> DataError:
    """Returns the error for data of which too little is left, with the reasons, a row for each, and what was warned of."""
    total: Counter[str] = sum((account.rejected for account in accounts), Counter())
    samples = {why: rows[0] for account in reversed(accounts) for why, rows in account.samples.items()}
    parts = [f"{why}: {count}" for why, count in sorted(total.items())]
    shown = [f"line {row['line']}, {why}: {escaped(row['text'])}" for why, row in sorted(samples.items())][:3]
    examples = f" For example {'; '.join(shown)}." if shown else ""
    hints = "".join(f" {hint[0].upper()}{hint[1:]}." for hint in hints_of(accounts))
    more = "".join(f" {doubt}" for doubt in doubts)
    return DataError(f"{what} Rejected: {', '.join(parts) or 'none'}.{examples}{hints}{more}")


def hints_of(accounts: Sequence[Account]) -> list[str]:
    """Returns which setting reads what was rejected, as far as the rejected rows show it."""
    texts = [
        row["text"] for a in accounts for why, rows in a.samples.items() if why.endswith("not a number") for row in rows
    ]
    reasons = {why for account in accounts for why in account.rejected}
    found = []
    if any(re.search(r"(?<![\d,])\d+,\d+(?![\d,])", text) for text in texts):
        found.append("are these decimal commas? ingest.decimal_separator = ','")
    if any(re.fullmatch("not .* text", why) for why in reasons):
        found.append("is the text of another encoding? ingest.encoding = 'latin-1' or 'utf-16'")
    if NO_TIME in reasons:
        found.append("are times written in another way? ingest.timestamp_format = '%d/%m/%Y %H:%M', for example")
    return found


def escaped(text: str) -> str:
    """Returns a text as it can be shown: control characters escaped, cut to 200 characters."""
    return f"'{printable(text[:_TEXT])}'"


def warnings_of(
    accounts: Sequence[Account], share: float | None, rules: Rules, most_common: Callable[[], Sequence[tuple[float, float]]]
) -> list[str]:
    """Returns a sentence for each thing that makes the feedback doubtful.

    Args:
        accounts: The account of each source.
        share: Share of false positives among the pairs; None without feedback.
        rules: What decides about a row.
        most_common: Returns the most common values of the feedback, with the share of the rows that have each.
    """
    rule, settings = rules.rule, rules.config.feedback
    if rule == "none":
        return []
    found = []
    rows_in = sum(account.rows_in for account in accounts)
    missing = sum(account.rejected[f"{rule} missing"] for account in accounts)
    if missing > _MANY * rows_in:
        found.append(
            f"{missing:,} of {rows_in:,} rows have no {rule} and are left out. To train on every click, without telling "
            "false positives: ingest.feedback.rule = 'none'; what is known of some goes into a column extra_feedback."
        )
    if share is not None and (share >= _MOST_DISLIKED or share == 0):
        many = "No interaction is a false positive" if share == 0 else f"{share:.0%} of the interactions are false positives"
        low = feedback.threshold(rule, settings)
        how = f"{rule} below {low:g}" if low is not None else "the flag false_positive"
        listed = ", ".join(f"{value:g} ({of_rows:.0%})" for value, of_rows in most_common())
        found.append(f"{many} by {how}. Is that meant? The most common values: {listed}.{_hint(rule, accounts, share)}")
    elif rule == "dwell_time" and (middle := median(account.middle for account in accounts if account.kept)) > _LONG_SECONDS:
        found.append(
            f"Half of the dwell times exceed {middle:g} seconds: were these milliseconds? ingest.dwell_time_unit = 'ms'."
        )
    return found


def _hint(rule: str, accounts: Sequence[Account], share: float) -> str:
    lows = [account.ranges[rule][0] for account in accounts if rule in account.ranges]
    if rule == "rating" and share and min(lows, default=1) <= 0:
        return f" If {min(lows):g} means that there is no rating: ingest.missing_values.rating = ['{min(lows):g}']."
    if rule == "dwell_time" and not share:
        return f" The smallest is {min(lows):g} seconds: were these milliseconds? ingest.dwell_time_unit = 'ms'."
    return f" ingest.feedback.{rule}_below sets the bound." if rule != "false_positive" else ""


def summary(manifest: Mapping[str, Any]) -> list[str]:
    """Returns how the rows were read, one line each; warnings are said when they arise, and lie in the manifest."""
    rows, rule, times = manifest["rows"], manifest["feedback"], manifest["times"]
    lines = [f"rows in: {rows['in']:,}"]
    lines += [f"kept, {name.replace('_', ' ')}: {count:,}" for name, count in rows["kept"].items()]
    samples = {why: found for source in reversed(rows["sources"]) for why, found in source.get("samples", {}).items()}
    for why, count in rows["rejected"].items():
        where = f" (line {samples[why][0]['line']}: {escaped(samples[why][0]['text'])})" if why in samples else ""
        lines.append(f"rejected, {why}: {count:,}{where}")
    if merged := rows["rejected"].get(DUPLICATE):
        lines.append(f"{merged:,} rows repeat a (user, item) pair and are merged into its latest row")
    share = manifest["false_positive_share"]["log"]
    if share is None:
        lines.append("false positives: not known (no rating, dwell time or flag)")
    else:
        below = f"{rule['rule']} below {rule['threshold']:g}" if rule["threshold"] is not None else "the flag false_positive"
        lines.append(f"false positives: {below}, {share:.1%} of the interactions")
    known = manifest["extra_feedback"]
    if known["source"] != "none":
        lines.append(f"known to be liked: {known['pairs']:,}, to be disliked: {known.get('disliked', 0):,}")
    if times["unreadable"]:
        lines.append(
            f"times that cannot be read: {times['unreadable']:,} (ingest.timestamp_format says how they are written)"
        )
    return lines + [f"note: {note}" for note in manifest["notes"]]
