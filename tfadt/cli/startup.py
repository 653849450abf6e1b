"""Loads TensorFlow without the notes that it prints about itself while it starts."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile


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
