"""`tfadt config`: every setting with its default, its meaning and its range."""

from __future__ import annotations

from typing import Annotated

import typer

from tfadt.cli.console import print_wrapped
from tfadt.cli.startup import load_tensorflow
from tfadt.config.listing import settings


def config(
    key: Annotated[str | None, typer.Argument(help="A section or a setting; default: all.", show_default=False)] = None,
) -> None:
    """List the settings: default, meaning, range. They go into a TOML file or on the command line with --set.

    Example: tfadt config policy.t_ce
    """
    if key is not None and key.startswith(("model.", "policy.")):
        load_tensorflow()
    for setting in settings(key):
        meaning = " ".join(filter(None, (setting.meaning, f"({setting.values})" if setting.values else "")))
        print_wrapped(f"{setting.key} = {setting.default}", meaning)
