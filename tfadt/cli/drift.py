"""`tfadt drift`: a newer log beside what a run was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tfadt.atomic import write_text
from tfadt.cli import options
from tfadt.cli.console import print_lines, print_table, progress
from tfadt.cli.startup import load_tensorflow
from tfadt.config.loading import dump, load_config
from tfadt.data.check import check_source
from tfadt.errors import ConfigError

# There is no log without a test. This one is of one pair, whose user and item training has too, so nothing is left out.
_WHOLE: dict[str, Any] = {"method": "random", "valid": 0.0, "test": 1e-9}


@options.reads_log
def drift(
    run: options.RunFolder,
    *,
    source: options.Source,
    limit: Annotated[
        list[str] | None, typer.Option(help="Such as new_items=0.2 or recall_loss=0.1; may be repeated.")
    ] = None,
    model: options.ModelName = None,
    out: Annotated[Path | None, typer.Option("--json", help="File to write all figures to.")] = None,
    quiet: options.Quiet = False,
) -> None:
    """Compare a newer log with a run: new ids, noise, and how well yesterday's model ranks today's clicks.

    Exits with 1 where a limit is exceeded, so that a script can retrain, or keep from pushing.

    Example: tfadt drift runs/latest --data today.csv --limit new_items=0.2 --limit recall_loss=0.1
    """
    if not source:
        raise ConfigError("Name the newer log, with --data for instance.")
    from tfadt.experiments.drift import drift as compare
    from tfadt.experiments.drift import exceeded, parse_limits

    limits = parse_limits(limit or [])
    load_tensorflow()
    from tfadt.data.account import summary
    from tfadt.data.ingest import ingest
    from tfadt.experiments.saved import SavedRun

    saved = SavedRun.open(run)
    reading = dump(saved.config)["ingest"]
    # What the run itself read, and where it wrote its rejected rows, stays out of it.
    own = {name: None for name in ("data", "train", "valid", "test", "dataset", "rejected")} | {"simulate": False}
    # Nothing is left out as too rare or put apart as disliked, and nobody has to be in training.
    whole = {"split": _WHOLE, "clean_test": False, "min_user_interactions": 1, "min_item_interactions": 1}
    settings = load_config(base={"ingest": {**reading, **own, **whole, "extra_feedback": {}, **source}})
    check_source(settings.ingest)
    name = model or saved.best()
    with progress(quiet) as listener:
        log = ingest(settings.ingest, listener.say)
        found = compare(saved, name, log, listener.ranked)
    first = saved.config.evaluate.k[0]
    print_table(["", str(run), "now"], _lines(found, first))
    told = [*summary(log.manifest), f"{found.clicks:,} clicks, besides {found.seen_before:,} that the run has."]
    if found.metrics_now:
        told.append(f"{name} ranked the {found.users:,} users that it knows by their new clicks on items that it knows.")
    print_lines(told)
    if out is not None:
        write_text(out, json.dumps({"model": name, **found.as_dict()}, indent=2) + "\n")
    over = exceeded(found, limits, f"recall@{first}")
    if over:
        print_lines(over)
        raise typer.Exit(1)


def _lines(found: Any, k: int) -> list[list[str]]:
    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.1%}"

    lines = [
        ["users that the model does not know", "", share(found.new_users)],
        ["items that it does not know", "", share(found.new_items)],
        ["clicks of the one or on the other", "", share(found.clicks_of_new)],
        ["popularity of items: divergence in bits", "", f"{found.popularity:.3f}"],
        ["disliked clicks", share(found.false_positives_before), share(found.false_positives_now)],
    ]
    for metric in (f"recall@{k}", f"ndcg@{k}", f"false_share@{k}"):
        pair = [each.get(metric) for each in (found.metrics_before, found.metrics_now)]
        if any(value is not None for value in pair):
            lines.append([metric, *("" if value is None else f"{value:.4f}" for value in pair)])
    return lines
