"""`tfadt ingest`: read, check and split a log, and account for every row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines
from tfadt.cli.startup import load_tensorflow
from tfadt.config.loading import load_config


def ingest(
    out: Annotated[Path, typer.Option(help="Folder of the artifact.")],
    config: options.Config = None,
    data: options.Data = None,
    train: options.Train = None,
    valid: options.Valid = None,
    test: options.Test = None,
    dataset: options.Dataset = None,
    simulate: options.Simulate = False,
    format: options.Format = None,
    set_: options.Sets = None,
    quiet: options.Quiet = False,
) -> None:
    """Turn a log into one artifact folder that `tfadt run --data FOLDER` reads.

    Example: tfadt ingest --data clicks.csv --set ingest.columns.user=uid --out data/clicks
    """
    source = options.source_settings(data, train, valid, test, dataset, simulate, format)
    settings = load_config(config, set_ or [], {"ingest": source})

    if settings.ingest.dataset is not None:
        load_tensorflow()
    from tfadt.data import artifact
    from tfadt.data.ingest import ingest as read

    result = read(settings.ingest, None if quiet else lambda text: print_lines([text]))
    artifact.save(result, out)
    rows = result.manifest["rows"]
    print_lines(
        [
            f"rows in: {rows['in']:,}",
            *(f"kept, {name}: {count:,}" for name, count in rows["kept"].items()),
            *(f"rejected, {reason}: {count:,}" for reason, count in rows["rejected"].items()),
            f"known to be liked: {result.manifest['extra_feedback'].get('pairs', 0):,}",
            f"{result.num_users:,} users, {result.num_items:,} items; written to {out}",
        ]
    )
