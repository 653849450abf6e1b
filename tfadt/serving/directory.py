"""A serving directory: the folders of all models that one server serves, and what that server needs beside them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import tensorflow as tf

from tfadt.errors import ConfigError
from tfadt.serving.place import Place, write_file
from tfadt.serving.server_files import ModelEntry, server_files
from tfadt.serving.versions import SERVER, is_model_name, is_remote, locked


class ServingDirectory:
    """A directory of served models, on this machine or anywhere that `tf.io.gfile` reaches.

    Args:
        path: Where.

    Raises:
        ConfigError: If it is no path of a directory.
    """

    def __init__(self, path: str):
        check_directory(path)
        self.path = path.rstrip("/") or "/"

    def place(self, name: str) -> Place:
        """Returns the folder of a model."""
        return Place(f"{self.path}/{name}")

    def locked(self) -> AbstractContextManager[object]:
        """Keeps others from writing there, where the file system has locks."""
        if is_remote(self.path):
            return nullcontext()
        Path(self.path).mkdir(parents=True, exist_ok=True)
        return locked(Path(self.path))

    def served(self, apart_from: str) -> list[ModelEntry]:
        """Returns what the server is to know of each model that was pushed there, of one apart.

        Raises:
            DataError: If what the newest version of one says of itself is damaged, or its labels are.
        """
        names = tf.io.gfile.listdir(self.path) if tf.io.gfile.isdir(self.path) else []
        places = {name: self.place(name) for each in names if is_model_name(name := each.rstrip("/"))}
        return [place.served() for name, place in places.items() if name != apart_from and place.is_served()]

    def write_server_files(self, models: list[ModelEntry]) -> None:
        """Writes what the server needs, into `server/`."""
        for name, text in server_files(sorted(models, key=lambda model: model.name)).items():
            write_file(f"{self.path}/{SERVER}/{name}", text)


def check_directory(to: str) -> None:
    """Raises ConfigError for what is no directory of served models, on this machine or elsewhere."""
    scheme, remote, rest = to.partition("://")
    if not to.strip() or (remote and not rest.strip("/")):
        raise ConfigError(
            f"A directory of served models is a path such as /srv/models or gs://bucket/models. Received: '{to}'."
        )
    if remote and scheme not in tf.io.gfile.get_registered_schemes():
        known = ", ".join(sorted(filter(None, tf.io.gfile.get_registered_schemes())))
        raise ConfigError(
            f"TensorFlow reads no {scheme}:// here. Expected a directory on this machine or of one of: {known} (the package "
            f"tensorflow-io brings more, such as s3). Received: '{to}'."
        )
