"""Takes the served version of a model back, so that the one before it answers again."""

from __future__ import annotations

import tensorflow as tf

from tfadt.errors import DataError, first_line
from tfadt.serving.place import Place
from tfadt.serving.push import check_directory
from tfadt.serving.versions import check_model_name


def rollback(name: str, to: str) -> tuple[str, str]:
    """Takes the newest version of a served model out of a server's sight.

    A server that watches the folder then loads the version before it and unloads the one that is gone. Labels move first:
    no moment has a label that names nothing. The version is kept as `rolled-back-NUMBER`, and its export is not pushed
    again as long as that is there.

    Args:
        name: The model's name, its folder in the directory.
        to: The directory of all served models, on this machine or anywhere that `tf.io.gfile` reaches.

    Returns:
        The folder of the version that answers now, and the one that what was taken back is kept in.

    Raises:
        ConfigError: If `to` is no directory of served models, or `name` no name of one.
        DataError: If there is no version to go back to, or the directory cannot be written.
    """
    check_directory(to)
    check_model_name(name)
    place = Place(f"{to.rstrip('/')}/{name}")
    try:
        if not place.versions():
            raise DataError(f"{place.folder} holds no version of a model: there is nothing to roll back.")
        with place.locked():
            present = place.versions()
            *older, newest = present
            if not older:
                raise DataError(
                    f"Version {newest} is the only one in {place.folder}: without it nothing would be served. Expected two."
                )
            place.write_server_files(place.metadata(older[-1]), older)
            kept = place.take_back(newest)
    except (tf.errors.OpError, OSError) as error:
        raise DataError(f"{place.folder} cannot be written: {first_line(error)}") from error
    return present[older[-1]], kept
