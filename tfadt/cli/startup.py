"""What happens before TensorFlow is there, and loading it without the notes that it prints about itself while it starts."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile

from tfadt.config import Config
from tfadt.data.check import check_source
from tfadt.registry import MODELS, POLICIES


def check_early(settings: Config) -> None:
    """Tells of a log that cannot be read and of names that nothing has before TensorFlow is loaded, which takes seconds.

    Raises:
        ConfigError: If a model or policy is unknown.
        DataError: As `check_source`.
    """
    check_source(settings.ingest)
    for name in settings.adt.models:
        MODELS.check(name)
    for name in settings.adt.policies:
        POLICIES.check(name)


def load_tensorflow() -> None:
    """Imports TensorFlow and looks for devices, keeping its start-up notes off the standard error.

    TensorFlow 2.21 prints them from C++ before its own log level applies, so the file descriptor itself is turned away for
    the moment. Where the user has set `TF_CPP_MIN_LOG_LEVEL`, or the import fails, everything is shown.
    """
    if "tensorflow" in sys.modules:
        return
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        importlib.import_module("tensorflow")
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            importlib.import_module("tensorflow").config.list_physical_devices()
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
