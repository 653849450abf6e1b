"""`tfadt noise inject`: a log with known truth, to test denoisers on one's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfadt.atomic import write_atomically
from tfadt.cli import options
from tfadt.cli.console import print_lines
from tfadt.config.loading import load_config
from tfadt.errors import ConfigError, writing

app = typer.Typer(name="noise", help="Noise of known truth.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keeps `inject` a verb of its own."""


@app.command("inject")
@options.reads_log
def inject(
    config: options.Config = None,
    *,
    source: options.Source,
    out: Annotated[Path, typer.Option(help="File to write, .csv or .parquet.")],
    share: Annotated[float, typer.Option(help="Share of the liked clicks that go to an item never clicked.")] = 0.2,
    by: Annotated[str, typer.Option(help="How those items are drawn: uniform or popularity.")] = "uniform",
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    set_: options.Sets = None,
) -> None:
    """Flip a share of the liked clicks of a log into a log that says which (column false_positive).

    Example: tfadt noise inject --data clicks.csv --share 0.2 --by popularity --out noisy.csv
    """
    if out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--out must end in .csv or .parquet. Received: '{out}'.")
    settings = load_config(config, set_ or [], {"ingest": source}).ingest

    from tfadt.data.ingest import ingest
    from tfadt.data.noise import check
    from tfadt.data.noise import inject as flip

    check(share, by, seed)
    log = flip(ingest(settings, folder=out.absolute().parent), share, by, seed)  # type: ignore[arg-type] # it is checked
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write = log.to_csv if out.suffix == ".csv" else log.to_parquet
        write_atomically(out, lambda path: write(path, index=False))
    print_lines([f"{len(log):,} clicks, {int(log['false_positive'].sum()):,} of them flipped; {out}"])
