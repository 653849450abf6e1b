"""`tfadt pipeline`: run a configuration as a pipeline of steps with artifacts, and look at what was run."""

from __future__ import annotations

import typer

from tfadt.cli.pipeline import clean, compile, lineage, run, show, status

app = typer.Typer(
    help="Run a configuration as a pipeline: steps with artifacts, of which only what changed runs again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command("run")(run.run)
app.command("show")(show.show)
app.command("status")(status.status)
app.command("lineage")(lineage.lineage)
app.command("clean")(clean.clean)
app.command("compile")(compile.compile)
