"""What a step does in its container on Kubeflow: the component of the local runner, on the container's folders."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfadt._version import __version__
from tfadt.components.component import Component
from tfadt.errors import ConfigError


def run_step(
    component: str,
    tfadt_version: str,
    parameters: Mapping[str, str],
    inputs: Mapping[str, str],
    outputs: Mapping[str, Any],
    previous: Mapping[str, str],
) -> None:
    """Executes a component.

    Args:
        component: Where it is defined, `module:function`.
        tfadt_version: The version that the pipeline was compiled with.
        parameters: JSON text by name.
        inputs: Folder by name.
        outputs: Kubeflow's artifact by name; figures about the content become its metadata.
        previous: Folder of an earlier output by name, empty for none.

    Raises:
        ConfigError: If the container has another version of tfadt, or a parameter is wrong.
        DataError: If an input cannot be used.
    """
    if tfadt_version != __version__:
        raise ConfigError(
            f"The container has another tfadt than the pipeline was compiled with: build the image anew, or compile anew. "
            f"Expected {tfadt_version}. Received: {__version__}."
        )
    module, _, name = component.partition(":")
    found: Component = getattr(importlib.import_module(module), name)
    known = found.signature.parameters
    values = {key: known[key].check(json.loads(text), found.name) for key, text in parameters.items()}
    with tempfile.TemporaryDirectory() as work:
        made = found.execute(
            {key: Path(folder) for key, folder in inputs.items()},
            {key: Path(artifact.path) for key, artifact in outputs.items()},
            values,
            Path(work),
            {key: Path(folder) for key, folder in previous.items() if folder},
        )
    for key, artifact in made.items():
        outputs[key].metadata.update(artifact.summary())
