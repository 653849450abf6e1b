"""Entry point of the command `tfadt`."""

from __future__ import annotations

import sys

import typer

from tfadt.cli import denoise, evaluate, ingest, recommend, run
from tfadt.cli.console import print_error
from tfadt.errors import TfadtError

app = typer.Typer(
    name="tfadt",
    help="Denoising training for recommenders that learn from clicks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("ingest")(ingest.ingest)
app.command("evaluate")(evaluate.evaluate)
app.command("recommend")(recommend.recommend)
app.command("denoise")(denoise.denoise)


def main() -> None:
    """Runs the command; exit code 0 when all of it worked, 2 with one clear sentence for bad input."""
    try:
        app()
    except TfadtError as error:
        print_error(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
