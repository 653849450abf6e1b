"""The folder of a model in a serving directory: its versions and their labels."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfadt.atomic import write_text
from tfadt.errors import DataError
from tfadt.serving.labels import LABELS_FILE, parse_labels
from tfadt.serving.metadata import METADATA_FILE, parse_metadata
from tfadt.serving.remote import hide_remote_version, remote_versions, remove_remote_version, upload_version, write_remote
from tfadt.serving.server_files import ModelEntry
from tfadt.serving.verification.verify import blessing_path
from tfadt.serving.versions import ROLLED_BACK, hide_version, is_remote, publishing, remove_version, versions


class Place:
    """The folder of a model in a serving directory, on this machine or anywhere that `tf.io.gfile` reaches.

    Args:
        folder: Where.
    """

    def __init__(self, folder: str):
        self.folder = folder
        self._remote = is_remote(folder)

    def versions(self) -> dict[int, str]:
        """Returns version -> its folder, ascending."""
        if self._remote:
            return remote_versions(self.folder)
        return {number: str(path) for number, path in versions(Path(self.folder)).items()}

    def metadata(self, version: int) -> dict[str, Any]:
        """Returns what a version says of itself.

        Raises:
            DataError: If it is no export of ours.
        """
        path = f"{self.versions()[version]}/{METADATA_FILE}"
        if not tf.io.gfile.exists(path):
            raise DataError(f"{path} does not exist. Expected a version written by `tfadt export`.")
        with tf.io.gfile.GFile(path, "r") as file:
            return parse_metadata(file.read(), path)

    def is_served(self) -> bool:
        """Returns whether there is a version, and the newest is an export of ours."""
        newest = list(self.versions().values())[-1:]
        return any(tf.io.gfile.exists(f"{version}/{METADATA_FILE}") for version in newest)

    def rolled_back(self) -> dict[int, str]:
        """Returns version -> the folder of each version that was taken back."""
        names = tf.io.gfile.listdir(self.folder) if tf.io.gfile.isdir(self.folder) else []
        found = (re.fullmatch(rf"{ROLLED_BACK}(\d+)/?", name) for name in names)
        return {int(match[1]): f"{self.folder}/{match[0].rstrip('/')}" for match in found if match}

    def add(self, source: Path, version: int) -> str:
        """Copies a version, and returns where it lies now."""
        if self._remote:
            return upload_version(source, self.folder, version)
        with publishing(Path(self.folder), version) as (partial, target):
            for path in sorted(source.rglob("*")):
                if path.is_file():
                    copy = partial / path.relative_to(source)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, copy)
        return str(target)

    def remove(self, version: int) -> None:
        """Removes a version and its blessing."""
        self._remove_blessing(version)
        if self._remote:
            remove_remote_version(self.folder, version)
        else:
            remove_version(Path(self.folder), version)

    def take_back(self, version: int) -> str:
        """Takes a version out of a server's sight, and returns the folder that it is kept in."""
        name = f"{ROLLED_BACK}{version}"
        self._remove_blessing(version)
        if self._remote:
            hide_remote_version(self.folder, version, name)
        else:
            hide_version(Path(self.folder), version, name)
        return f"{self.folder}/{name}"

    def labels(self) -> dict[str, int]:
        """Returns label -> version, none where there is no version.

        Raises:
            DataError: If they are damaged, or one names a version that is not there.
        """
        path = f"{self.folder}/{LABELS_FILE}"
        text = None
        if tf.io.gfile.exists(path):
            with tf.io.gfile.GFile(path, "r") as file:
                text = file.read()
        return parse_labels(text, path, list(self.versions()))

    def served(self) -> ModelEntry:
        """Returns what a server is to know of the model.

        Raises:
            DataError: If the newest version is no export of ours, or the labels are damaged.
        """
        versions = list(self.versions())
        return ModelEntry.of(self.metadata(versions[-1]), versions, self.labels())

    def write(self, name: str, text: str) -> None:
        """Writes a file there, under another name first."""
        write_file(f"{self.folder}/{name}", text)

    def write_labels(self, labels: Mapping[str, int]) -> None:
        """Writes the labels."""
        self.write(LABELS_FILE, json.dumps(labels, indent=2) + "\n")

    def _remove_blessing(self, version: int) -> None:
        path = f"{self.folder}/{blessing_path(Path(self.versions()[version])).name}"
        if tf.io.gfile.exists(path):
            tf.io.gfile.remove(path)


def served_fingerprint(version: str) -> str | None:
    """Returns the fingerprint of a version, anywhere that `tf.io.gfile` reaches; None where it has none."""
    path = f"{version}/{METADATA_FILE}"
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def write_file(path: str, text: str) -> None:
    """Writes a file, anywhere that `tf.io.gfile` reaches, under another name first."""
    if is_remote(path):
        write_remote(path, text)
    else:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_text(Path(path), text)
