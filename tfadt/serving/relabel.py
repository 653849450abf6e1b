"""Moves the labels of a served model: the canary becomes stable, or the newest version is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from tfadt.errors import DataError, first_line
from tfadt.serving.directory import ServingDirectory
from tfadt.serving.labels import CANARY, STABLE, promoted, rolled_back
from tfadt.serving.place import Place
from tfadt.serving.server_files import ModelEntry
from tfadt.serving.versions import check_model_name


def promote(name: str, to: str) -> str:
    """Makes the canary of a served model stable.

    Args:
        name: The model's name, its folder in the directory.
        to: The directory of all served models, on this machine or anywhere that `tf.io.gfile` reaches.

    Returns:
        The version's folder.

    Raises:
        ConfigError: If `to` is no directory of served models, or `name` no name of one.
        DataError: If no version is tried, or the directory cannot be written.
    """
    with _opened(name, to) as (directory, place):
        labels = place.labels()
        if labels[CANARY] == labels[STABLE]:
            raise DataError(
                f"{place.folder} has no canary: version {labels[STABLE]} is stable and the only one that is asked for by "
                "label. Expected one pushed with --label canary."
            )
        _label(directory, place, list(place.versions()), promoted(labels))
        return place.versions()[labels[CANARY]]


def rollback(name: str, to: str) -> tuple[str, str]:
    """Takes the newest version of a served model, the canary if there is one, out of a server's sight.

    A server that watches the folder then loads the version before it and unloads the one that is gone. Labels move first:
    no moment has a label that names nothing. The version is kept as `rolled-back-NUMBER`, and its export is not pushed
    again as long as that is there.

    Args:
        name: The model's name, its folder in the directory.
        to: The directory of all served models, on this machine or anywhere that `tf.io.gfile` reaches.

    Returns:
        The folder of the version that is stable now, and the one that what was taken back is kept in.

    Raises:
        ConfigError: If `to` is no directory of served models, or `name` no name of one.
        DataError: If there is no version to go back to, or the directory cannot be written.
    """
    with _opened(name, to) as (directory, place):
        present = place.versions()
        *older, newest = present
        if not older:
            raise DataError(
                f"Version {newest} is the only one in {place.folder}: without it nothing would be served. Expected two."
            )
        labels = rolled_back(place.labels(), older)
        _label(directory, place, older, labels)
        return present[labels[STABLE]], place.take_back(newest)


@contextmanager
def _opened(name: str, to: str) -> Iterator[tuple[ServingDirectory, Place]]:
    """Yields a directory and a model's folder in it, while nobody else writes there."""
    check_model_name(name)
    directory = ServingDirectory(to)
    place = directory.place(name)
    try:
        if not place.versions():
            raise DataError(f"{place.folder} holds no version of a model: there is nothing to roll back or to promote.")
        with directory.locked():
            yield directory, place
    except (tf.errors.OpError, OSError) as error:
        raise DataError(f"{place.folder} cannot be written: {first_line(error)}") from error


def _label(directory: ServingDirectory, place: Place, versions: list[int], labels: dict[str, int]) -> None:
    model = ModelEntry.of(place.metadata(versions[-1]), versions, labels)
    others = directory.served(apart_from=model.name)
    place.write_labels(labels)
    directory.write_server_files([*others, model])
