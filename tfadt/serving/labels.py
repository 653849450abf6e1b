"""The labels of a served model: `stable` is what clients ask for, `canary` what a share of them tries.

They lie in `NAME/labels.json`; TensorFlow Serving reads them in `server/models.config`, which is written from it. Clients
ask for both at all times, so both always name a version: the same one while nothing is tried.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from tfadt.config.serving import LABELS
from tfadt.errors import DataError, reading

STABLE, CANARY = LABELS
LABELS_FILE = "labels.json"


def parse_labels(text: str | None, path: str, versions: Collection[int]) -> dict[str, int]:
    """Returns label -> version; without a file both name the newest version, and without versions there are none.

    Args:
        text: Content of the file, None where there is none.
        path: The file.
        versions: The versions that are there.

    Raises:
        DataError: If the file is damaged, or a label names a version that is not there.
    """
    if not versions:
        return {}
    if text is None:
        return dict.fromkeys(LABELS, max(versions))
    with reading(path):
        labels = {label: int(json.loads(text)[label]) for label in LABELS}
    for label, version in labels.items():
        if version not in versions:
            raise DataError(
                f"{path}: '{label}' names version {version}, which is not there. Expected one of "
                f"{', '.join(map(str, versions))}. Delete the file to have both labels name the newest."
            )
    return labels


def pushed(labels: Mapping[str, int], label: str, version: int) -> dict[str, int]:
    """Returns the labels after a push: a canary stands beside what is stable; what is stable is tried no longer."""
    if label == CANARY and labels:
        return {**labels, CANARY: version}
    return dict.fromkeys(LABELS, version)


def promoted(labels: Mapping[str, int]) -> dict[str, int]:
    """Returns the labels after the canary became stable."""
    return dict.fromkeys(LABELS, labels[CANARY])


def rolled_back(labels: Mapping[str, int], older: Collection[int]) -> dict[str, int]:
    """Returns the labels without the newest version: those that named it go to what is stable, or to the version before.

    Args:
        labels: Label -> version.
        older: The other versions, at least one.
    """
    answers = labels[STABLE] if labels[STABLE] in older else max(older)
    return {label: version if version in older else answers for label, version in labels.items()}
