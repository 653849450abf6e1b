"""Versions under any path that `tf.io.gfile` reads, such as `gs://bucket/models`.

Such stores have no locks, and rename a folder file by file. So a version is copied under a name that a server ignores, moved
file by file, and `saved_model.pb`, without which nothing can be loaded, is moved last.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from tfadt.errors import DataError
from tfadt.serving.versions import PARTIAL, by_number

_LAST = "saved_model.pb"


def remote_versions(folder: str) -> dict[int, str]:
    """Returns version -> its folder, ascending, of the versions that can be loaded."""
    if not tf.io.gfile.isdir(folder):
        return {}
    names = by_number(name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    return {number: f"{folder}/{name}" for number, name in names.items() if tf.io.gfile.exists(f"{folder}/{name}/{_LAST}")}


def upload_version(source: Path, folder: str, version: int) -> str:
    """Copies a version.

    Returns:
        Where it lies now.

    Raises:
        DataError: If it is there already.
    """
    target, partial = f"{folder}/{version}", f"{folder}/{PARTIAL}{version}"
    if version in remote_versions(folder):
        raise DataError(f"Version {version} is there already: {target}. A version is never overwritten.")
    for leftover in (partial, target):  # of an upload that was broken off: it has no saved_model.pb
        if tf.io.gfile.exists(leftover):
            tf.io.gfile.rmtree(leftover)
    names = [path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file()]
    for name in names:
        tf.io.gfile.makedirs(f"{partial}/{name}".rpartition("/")[0])
        tf.io.gfile.copy(str(source / name), f"{partial}/{name}", overwrite=True)
    for name in sorted(names, key=lambda name: name == _LAST):
        tf.io.gfile.makedirs(f"{target}/{name}".rpartition("/")[0])
        tf.io.gfile.rename(f"{partial}/{name}", f"{target}/{name}", overwrite=True)
    tf.io.gfile.rmtree(partial)
    return target


def remove_remote_version(folder: str, version: int) -> None:
    """Removes a version, `saved_model.pb` first."""
    place = remote_versions(folder)[version]
    tf.io.gfile.remove(f"{place}/{_LAST}")
    tf.io.gfile.rmtree(place)


def hide_remote_version(folder: str, version: int, name: str) -> None:
    """Moves a version to a name that a server ignores, `saved_model.pb` first; what was kept under it goes."""
    place, target = remote_versions(folder)[version], f"{folder}/{name}"
    if tf.io.gfile.exists(target):
        tf.io.gfile.rmtree(target)
    files = [f"{root}/{file}" for root, _, names in tf.io.gfile.walk(place) for file in names]
    for file in sorted(files, key=lambda file: file != f"{place}/{_LAST}"):
        moved = target + file.removeprefix(place)
        tf.io.gfile.makedirs(moved.rpartition("/")[0])
        tf.io.gfile.rename(file, moved, overwrite=True)
    tf.io.gfile.rmtree(place)


def write_remote(path: str, text: str) -> None:
    """Writes a file under another name and renames it."""
    folder, _, name = path.rpartition("/")
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(f"{folder}/.{name}.partial", "w") as file:
        file.write(text)
    tf.io.gfile.rename(f"{folder}/.{name}.partial", path, overwrite=True)
