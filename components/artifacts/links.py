"""Copies of what is never written again: by hard links, where the file system has them."""

from __future__ import annotations

import shutil
from pathlib import Path


def link_file(source: Path, target: Path) -> None:
    """Makes `target` the same file as `source`, or a copy where file systems differ; folders are made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def link_folder(source: Path, target: Path) -> None:
    """Makes `target` a folder of the same files as `source`."""
    shutil.copytree(source, target, copy_function=lambda file, to: link_file(Path(file), Path(to)), dirs_exist_ok=True)
