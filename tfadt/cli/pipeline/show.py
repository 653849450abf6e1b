"""`tfadt pipeline show`: the graph of a pipeline as text and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines
from tfadt.cli.pipeline import common
from tfadt.errors import ConfigError


def show(
    config: options.Config = None,
    model: common.Model = None,
    policy: common.Policy = None,
    set_: options.Sets = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw the graph into this .svg file.")] = None,
) -> None:
    """Print the graph of a configuration's pipeline: what each step reads and makes.

    Example: tfadt pipeline show pipelines/configs/gmf_t_ce.toml --picture graph.svg
    """
    if picture is not None and picture.suffix != ".svg":
        raise ConfigError(f"--picture must end in .svg. Received: '{picture}'.")
    pipeline = common.pipeline_of(config, common.settings_of(config, {}, model, policy, set_))
    from tfadt.pipelines.picture import as_svg, as_text

    print_lines(list(as_text(pipeline)))
    if picture is not None:
        try:
            picture.write_text(as_svg(pipeline), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{picture} cannot be written: {error.strerror or error}.") from error
        print_lines([f"Drawn into {picture}."])
