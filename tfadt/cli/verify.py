"""`tfadt verify`: prove a version before it is served."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from tfadt.cli.console import print_lines, print_table
from tfadt.cli.startup import load_tensorflow
from tfadt.errors import DataError


def verify(
    version: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a version, or of a model: its largest version.")],
    run: Annotated[Path | None, typer.Option(help="Folder of the run, if it was moved since the export.")] = None,
    without_loader: Annotated[
        bool, typer.Option("--without-loader", help="Leave out the C++ loader, which needs a compiler.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="Time of each latency measurement.")] = 1.0,
) -> None:
    """Replay warm-up requests, run every signature under the C++ loader of TensorFlow Serving, rank the clean test.

    Example: tfadt verify saved_models/gmf/1
    """
    load_tensorflow()
    from tfadt.serving.verification.verify import blessing_path, is_artifact
    from tfadt.serving.verification.verify import verify as prove
    from tfadt.serving.versions import find_version

    folder = find_version(version)
    blessing = prove(folder, run, not without_loader, seconds, lambda text: print_lines([text]))
    if blessing.latencies:
        header = ["signature", "batch", "clients", "p50 ms", "p99 ms"]
        print_table(
            header,
            [[x.signature, str(x.batch), str(x.clients), f"{x.p50:.3f}", f"{x.p99:.3f}"] for x in blessing.latencies],
        )
    artifact = is_artifact(folder)
    if not blessing.blessed:
        why = blessing.reason if artifact else f"{blessing_path(folder)} says why."
        raise DataError(f"{folder} is not blessed. {why}")
    if artifact:
        print_lines(
            [f"Every proof holds. {folder} is a pipeline's artifact, which never changes, so no blessing is written."]
        )
        return
    print_lines([f"Blessed: {blessing_path(folder)}. Next: tfadt push {quote(str(folder))} --to DIR"])
