"""`tfadt export`: a trained model as a version for TensorFlow Serving."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines
from tfadt.cli.startup import load_tensorflow
from tfadt.config.loading import dump, load_config


def export(
    run: options.RunFolder,
    out: Annotated[Path, typer.Option(help="Folder of all exported models.")] = Path("saved_models"),
    model: options.ModelName = None,
    k: Annotated[int | None, typer.Option(help="Length of every ranking; default: the run's export.k (100).")] = None,
    signatures: Annotated[
        str | None, typer.Option(help="Comma-separated; default: all that the run allows, but classify.")
    ] = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Rank seen items too.")] = False,
    name: Annotated[str | None, typer.Option(help="Name of the served model; default: gmf, neumf, ...")] = None,
    version: Annotated[int | None, typer.Option(help="Number of the version; default: the next one.")] = None,
) -> None:
    """Export a model of a finished run for TensorFlow Serving.

    Example: tfadt export runs/latest --out saved_models --k 100
    """
    overrides = [] if signatures is None else [f"export.signatures={signatures}"]
    overrides += [] if k is None else [f"export.k={k}"]
    overrides += ["export.exclude_seen=false"] if include_seen else []
    overrides += [] if name is None else [f"export.name={json.dumps(name)}"]
    load_config(None, overrides)  # a mistake is told before TensorFlow is loaded

    load_tensorflow()
    from tfadt.experiments.saved import SavedRun
    from tfadt.serving.export.exporter import export_run

    saved = SavedRun.open(run)
    settings = load_config(None, overrides, dump(saved.config)).export
    folder = export_run(saved, out, model, settings, version, lambda text: print_lines([text]))
    print_lines([f"Exported to {folder}. Next: tfadt verify {quote(str(folder))}"])
