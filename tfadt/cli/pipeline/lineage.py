"""`tfadt pipeline lineage`: which data, settings and code made an artifact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tfadt.cli.console import print_lines


def lineage(
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", help="A path below a pipeline's artifacts, or a version that it exported.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the execution records as JSON.")] = False,
) -> None:
    """Tell which data, settings and code made an artifact, or a served model.

    Example: tfadt pipeline lineage saved_models/gmf/1795574621
    """
    from tfadt.pipelines.lineage import trace

    found = trace(artifact)
    print_lines([json.dumps(found.as_dict(), indent=2, ensure_ascii=False)] if as_json else list(found.lines()))
