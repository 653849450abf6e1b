from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

# Before anything imports TensorFlow, which reads it once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Runs of a moment: importing TensorFlow again, in a process for each core, would take longer than they do.
os.environ.setdefault("TFADT_JOBS", "1")

# The first example pays for imports and compilation; a deadline would make its test fail by the load of the machine.
settings.register_profile("tfadt", deadline=None)
settings.load_profile("tfadt")


@pytest.fixture(scope="module", autouse=True)
def _what_is_there_is_not_collected() -> None:
    """TensorFlow and the graphs of earlier files are a million objects, which every full collection would look through.

    Keras asks for one before each training.
    """
    gc.collect()
    gc.freeze()
