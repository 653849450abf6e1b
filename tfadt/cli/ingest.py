"""`tfadt ingest`: read, check and split a log, and account for every row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines
from tfadt.cli.startup import load_tensorflow
from tfadt.config.loading import load_config


@options.reads_log
def ingest(
    out: Annotated[Path, typer.Option(help="Folder of the artifact.")],
    config: options.Config = None,
    *,
    source: options.Source,
    set_: options.Sets = None,
    quiet: options.Quiet = False,
) -> None:
    """Turn a log into one artifact folder that `tfadt run --data FOLDER` reads.

    Example: tfadt ingest --data clicks.csv --set ingest.columns.user=uid --out data/clicks
    """
    settings = load_config(config, set_ or [], {"ingest": source}).ingest

    if settings.dataset is not None:
        load_tensorflow()
    from tfadt.data import artifact
    from tfadt.data.account import summary
    from tfadt.data.ingest import ingest as read

    result = read(settings, None if quiet else lambda text: print_lines([text]), folder=out.absolute().parent)
    artifact.save(result, out)
    print_lines(
        [
            *summary(result.manifest),
            f"{result.num_users:,} users, {result.num_items:,} items; written to {out}",
        ]
    )
