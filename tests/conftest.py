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


LONGEST = (
    "tests/pipelines/test_training_pipeline.py",
    "tests/tuning/test_search.py",
    "tests/tuning/test_hypermodel.py",
    "tests/training/test_resume.py",
    "tests/training/test_stages.py",
    "tests/study/test_study.py",
    "tests/experiments/test_experiment.py",
    "tests/models/test_conformance.py",
    "tests/report/test_page.py",
    "tests/serving/test_verify.py",
    "tests/models/test_deferred_training.py",
    "tests/datasets/test_builders.py",
    "tests/test_extending.py",
    "tests/tuning/test_docs.py",
    "tests/serving/test_exporter.py",
    "tests/serving/test_kills.py",
    "tests/experiments/test_collide.py",
    "tests/experiments/test_damage.py",
    "tests/models/test_devices.py",
    "tests/models/test_keras_api.py",
    "tests/datasets/test_docs.py",
    "tests/examples/test_quickstart.py",
)
"""The files that take longest, each of which one process works through."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first: at the end, one of them would keep one process busy and the other idle."""
    place = {file: n for n, file in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


@pytest.fixture(scope="module", autouse=True)
def _what_is_there_is_not_collected() -> None:
    """TensorFlow and the graphs of earlier files are a million objects, which every full collection would look through.

    Keras asks for one before each training.
    """
    gc.collect()
    gc.freeze()
