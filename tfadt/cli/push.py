"""`tfadt push`: copy a blessed version to where a server finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfadt.cli.console import print_lines
from tfadt.cli.startup import load_tensorflow
from tfadt.config.serving import LABELS
from tfadt.errors import ConfigError
from tfadt.registry import check_name


def push(
    version: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder of a version, or of a model: its largest version. With --promote, --rollback: a model's name.",
        ),
    ],
    to: Annotated[str, typer.Option(help="Directory of the served models: local, or any path of tf.io.gfile (gs://...).")],
    label: Annotated[str, typer.Option(help="stable, or canary for what a share of the clients tries.")] = "stable",
    keep: Annotated[int | None, typer.Option(help="How many versions to keep there; default: all.")] = None,
    unless_worse_than: Annotated[
        str | None, typer.Option(help="'served' or a version there: push only what ranks the clean test no worse.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="What is compared; default: recall at the run's first k.")] = None,
    tolerance: Annotated[float, typer.Option(help="How much worse it may be.")] = 0.0,
    run: Annotated[Path | None, typer.Option(help="Folder of the run, if it was moved since the export.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Make the canary of the model stable.")] = False,
    take_back: Annotated[
        bool, typer.Option("--rollback", help="Take the newest version of the model back, the canary if there is one.")
    ] = False,
) -> None:
    """Push a blessed version into a serving directory, atomically, never over another; or move the labels there.

    Example: tfadt push saved_models/gmf/2 --to /srv/models --keep 3 --unless-worse-than served

    Example: tfadt push saved_models/gmf/3 --to /srv/models --label canary

    Example: tfadt push gmf --to /srv/models --promote

    Example: tfadt push gmf --to /srv/models --rollback
    """
    check_name("label", LABELS, label)
    if promote and take_back:
        raise ConfigError("Expected --promote or --rollback. Received: both.")
    if promote or take_back:
        given = {"--keep": keep, "--unless-worse-than": unless_worse_than, "--metric": metric, "--run": run}
        beside = [name for name, value in given.items() if value is not None] + ["--tolerance"] * (tolerance != 0)
        beside += ["--label"] * (label != LABELS[0])
        if beside:
            does = "--promote moves a label" if promote else "--rollback takes a version back"
            raise ConfigError(f"{does} and pushes nothing. Received: {', '.join(beside)}.")
    elif unless_worse_than is None and (metric is not None or tolerance != 0):
        raise ConfigError("--metric and --tolerance go with --unless-worse-than.")
    load_tensorflow()
    if promote:
        from tfadt.serving.relabel import promote as make_stable

        print_lines([f"{make_stable(str(version), to)} is stable."])
        return
    if take_back:
        from tfadt.serving.relabel import rollback

        answers, kept = rollback(str(version), to)
        print_lines([f"{answers} is stable. What was taken back is kept in {kept}."])
        return
    from tfadt.serving.push import push as copy
    from tfadt.serving.versions import find_version

    folder = find_version(version)
    pushed = copy(folder, to, keep, unless_worse_than, metric, tolerance, run, lambda text: print_lines([text]), label=label)
    print_lines([f"Pushed to {pushed} as {label}."])
