"""What every artifact is: a folder of a known layout, checked when it is read."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, ClassVar, Self

from tfadt.errors import DataError, reading


class Artifact:
    """A folder that one step of a pipeline writes and later ones read.

    A subclass states the layout in its docstring and names the files that must exist in `files`; where content can be
    wrong in other ways, it overrides `validate`.

    Args:
        path: The folder. A step that has it as an output finds it missing or empty.
    """

    files: ClassVar[tuple[str, ...]] = ()
    """Files that a complete artifact has, relative to its folder."""

    def __init__(self, path: Path):
        self.path = Path(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Returns the artifact in a folder, validated.

        Raises:
            DataError: If it is not one of this type.
        """
        artifact = cls(path)
        artifact.validate()
        return artifact

    def validate(self) -> None:
        """Raises DataError, naming the file, if the folder is not a complete artifact of this type."""
        for name in self.files:
            if not (self.path / name).is_file():
                raise DataError(
                    f"{self.path} is no {type(self).__name__}. Expected the file {name}. Received: {_listing(self.path)}."
                )

    def is_current(self) -> bool:
        """Returns whether what the artifact tells of the world outside still holds; if not, its step runs again."""
        return True

    def summary(self) -> dict[str, Any]:
        """Returns a few figures about the content, JSON-ready, for execution records and Kubeflow's metadata."""
        return {}

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes one of the artifact's JSON files, making the folder where there is none."""
        self.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True)
        (self.path / name).write_text(text + "\n", encoding="utf-8")

    def read_json(self, name: str, keys: tuple[str, ...] = ()) -> dict[str, Any]:
        """Returns the content of one of the artifact's JSON files.

        Raises:
            DataError: If it is missing, no JSON object, or lacks one of `keys`.
        """
        path = self.path / name
        with reading(path, "is not readable JSON"):
            content = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in keys if not isinstance(content, dict) or key not in content]
        if not isinstance(content, dict) or missing:
            received = sorted(content) if isinstance(content, dict) else type(content).__name__
            raise DataError(
                f"{path} is not what a {type(self).__name__} holds. Expected the keys {list(keys)}. Received: {received}."
            )
        return content


def _listing(folder: Path) -> str:
    if not folder.is_dir():
        return "a file" if folder.exists() else "nothing there"
    return ", ".join(sorted(os.listdir(folder))) or "an empty folder"


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
