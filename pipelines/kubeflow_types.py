"""The artifact types as Kubeflow knows them: `system.Interactions` and so on. Needs the extra `kubeflow`.

Kubeflow takes types of its own namespace only. `system.Model` and `system.Metrics` exist there already; what it shows of
them, the metrics in the first place, it shows of ours.
"""

from __future__ import annotations

from kfp import dsl

from tfadt.components.artifacts import (
    data_validation,
    evaluation,
    hyperparameters,
    interactions,
    model,
    pushed_model,
    saved_model,
)
from tfadt.components.artifacts.base import Artifact

_SHOWN_AS = {"Evaluation": "Metrics"}


def _known_as(kind: type[Artifact]) -> type[dsl.Artifact]:
    content = {
        "__module__": __name__,
        "__doc__": kind.__doc__,
        "schema_title": f"system.{_SHOWN_AS.get(kind.__name__, kind.__name__)}",
        "schema_version": "0.0.1",
    }
    return type(kind.__name__, (dsl.Artifact,), content)


# By name in this module: the executor in the container imports them from here.
DataValidation = _known_as(data_validation.DataValidation)
Evaluation = _known_as(evaluation.Evaluation)
Hyperparameters = _known_as(hyperparameters.Hyperparameters)
Interactions = _known_as(interactions.Interactions)
Model = _known_as(model.Model)
PushedModel = _known_as(pushed_model.PushedModel)
SavedModel = _known_as(saved_model.SavedModel)
VerifiedModel = _known_as(saved_model.VerifiedModel)


def kubeflow_type(kind: type[Artifact]) -> type[dsl.Artifact]:
    """Returns Kubeflow's type for an artifact type; for one that is not ours, the general artifact."""
    known = globals().get(kind.__name__) if kind.__module__.startswith("tfadt.") else None
    return known if isinstance(known, type) and issubclass(known, dsl.Artifact) else dsl.Artifact
