"""`tfadt pipeline clean`: remove artifacts that nothing refers to."""

from __future__ import annotations

from typing import Annotated

import typer

from tfadt.cli.console import print_lines
from tfadt.cli.pipeline import common


def clean(
    out: common.Folder = common.FOLDER,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
) -> None:
    """Remove the artifacts that are no step of any pipeline's last run in the folder.

    Example: tfadt pipeline clean --out runs/clicks --dry-run
    """
    from tfadt.pipelines.lineage import clean as clean_folder

    cleaned = clean_folder(out, dry_run)
    print_lines([str(path) for path in cleaned.paths])
    verb = "would be removed" if dry_run else "removed"
    print_lines([f"{len(cleaned.paths)} {verb}, {cleaned.bytes / 1e6:,.1f} MB; {cleaned.kept} complete steps stay."])
