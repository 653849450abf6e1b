"""The artifact types as Kubeflow knows them: `system.Interactions` and so on. Needs the extra `kubeflow`.

Kubeflow takes types of its own namespace only. `system.Model` and `system.Metrics` exist there already; what it shows of
them, the metrics in the first place, it shows of ours.
"""

from __future__ import annotations

import importlib
import pkgutil

from kfp import dsl

from tfadt.components import artifacts
from tfadt.components.artifacts.base import Artifact

_SHOWN_AS = {"Evaluation": "Metrics"}


def kubeflow_type(kind: type[Artifact]) -> type[dsl.Artifact]:
    """Returns Kubeflow's type for an artifact type; for one that is not ours, the general artifact."""
    return _TYPES.get(kind, dsl.Artifact)


def _known_as(kind: type[Artifact]) -> type[dsl.Artifact]:
    content = {
        "__module__": __name__,
        "__doc__": kind.__doc__,
        "schema_title": f"system.{_SHOWN_AS.get(kind.__name__, kind.__name__)}",
        "schema_version": "0.0.1",
    }
    return type(kind.__name__, (dsl.Artifact,), content)


def _ours() -> list[type[Artifact]]:
    modules = [importlib.import_module(f"{artifacts.__name__}.{m.name}") for m in pkgutil.iter_modules(artifacts.__path__)]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return [kind for kind in dict.fromkeys(found) if issubclass(kind, Artifact) and kind is not Artifact]


_TYPES = {kind: _known_as(kind) for kind in _ours()}
# By name in this module: the executor in the container imports them from here.
globals().update({known.__name__: known for known in _TYPES.values()})
