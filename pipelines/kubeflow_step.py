"""What a step does in its container on Kubeflow: the component of the local runner, on the container's folders."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfadt._version import __version__
from tfadt.components.component import Component
from tfadt.errors import ConfigError, writing


def run_step(
    component: str,
    tfadt_version: str,
    parameters: Mapping[str, str],
    inputs: Mapping[str, str],
    outputs: Mapping[str, Any],
    previous: Mapping[str, str],
    shared: str | None = None,
    run_id: str = "",
) -> None:
    """Executes a component.

    Args:
        component: Where it is defined, `module:function`.
        tfadt_version: The version that the pipeline was compiled with.
        parameters: JSON text by name.
        inputs: Folder by name.
        outputs: Kubeflow's artifact by name; figures about the content become its metadata.
        previous: Folder of an earlier output by name, empty for none.
        shared: Where other containers find the work folder, each run's under its id; None for a folder of this one alone.
        run_id: Kubeflow's id of the run.

    Raises:
        ConfigError: If the container has another version of tfadt, a parameter is wrong, or Kubeflow tells no id.
        DataError: If an input cannot be used.
    """
    _check_version(tfadt_version)
    module, _, name = component.partition(":")
    found: Component = getattr(importlib.import_module(module), name)
    known = found.signature.parameters
    values = {key: known[key].check(json.loads(text), found.name) for key, text in parameters.items()}
    with _work_folder(shared, run_id) as work:
        made = found.execute(
            {key: Path(folder) for key, folder in inputs.items()},
            {key: Path(artifact.path) for key, artifact in outputs.items()},
            values,
            work,
            {key: Path(folder) for key, folder in previous.items() if folder},
        )
    for key, artifact in made.items():
        outputs[key].metadata.update(artifact.summary())


def run_worker(tfadt_version: str, shared: str, run_id: str) -> None:
    """Makes trials of the run's search until it is over; whoever executes its step is the chief.

    Args:
        tfadt_version: The version that the pipeline was compiled with.
        shared: As in `run_step`.
        run_id: As in `run_step`.

    Raises:
        ConfigError: If the container has another version of tfadt, Kubeflow tells no id, or there is no chief for an hour.
        DataError: If what the chief left cannot be used.
    """
    from tfadt.components.tune import SEARCH
    from tfadt.tuning.worker import follow_chief

    _check_version(tfadt_version)
    follow_chief(_shared_folder(shared, run_id) / SEARCH)


def _check_version(tfadt_version: str) -> None:
    if tfadt_version != __version__:
        raise ConfigError(
            f"The container has another tfadt than the pipeline was compiled with: build the image anew, or compile anew. "
            f"Expected {tfadt_version}. Received: {__version__}."
        )


@contextmanager
def _work_folder(shared: str | None, run_id: str) -> Iterator[Path]:
    if shared is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        work = _shared_folder(shared, run_id)
        with writing(f"The shared folder {work}"):
            work.mkdir(parents=True, exist_ok=True)
        yield work


def _shared_folder(shared: str, run_id: str) -> Path:
    # A placeholder that Kubeflow has left as it is would be one folder for all runs.
    if not run_id or "{" in run_id:
        raise ConfigError(
            "This Kubeflow does not tell a step the id of its run, by which a search's tasks meet: compile with "
            f"kubeflow.trials_in_parallel = 1. Expected an id for dsl.PIPELINE_JOB_ID_PLACEHOLDER. Received: '{run_id}'."
        )
    return Path(shared) / run_id
