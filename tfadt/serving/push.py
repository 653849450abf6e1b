"""Pushes a blessed version to where a server finds it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfadt.config.serving import LABELS
from tfadt.errors import ConfigError, DataError, first_line
from tfadt.experiments.saved import SavedRun
from tfadt.registry import check_name
from tfadt.serving.directory import ServingDirectory
from tfadt.serving.labels import STABLE
from tfadt.serving.labels import pushed as labels_after
from tfadt.serving.metadata import fingerprint, read_metadata
from tfadt.serving.place import Place, served_fingerprint
from tfadt.serving.served import served_metrics
from tfadt.serving.server_files import ModelEntry
from tfadt.serving.verification.verify import blessing_path, read_blessing

SERVED = "served"


def push(
    folder: Path,
    to: str,
    keep: int | None = None,
    unless_worse_than: str | None = None,
    metric: str | None = None,
    tolerance: float = 0.0,
    run: Path | SavedRun | None = None,
    say: Callable[[str], object] = lambda text: None,
    again: bool = False,
    label: str = STABLE,
) -> str:
    """Copies a blessed version into a serving directory, under its own name and number.

    Args:
        folder: The version.
        to: The directory of all served models, on this machine or anywhere that `tf.io.gfile` reaches.
        keep: How many versions to keep there, the newest ones; default all.
        unless_worse_than: `"served"` (what is stable there) or a version there: push only if the clean test of the
            version's run ranks it no worse. Where nothing is served yet there is nothing to compare.
        metric: What is compared, such as `recall@20`; default recall at the run's first cut-off.
        tolerance: How much worse it may be.
        run: The version's run, or the folder of that; default where it lay at export.
        say: Hears what is done.
        again: Push what may have been pushed before: if it is the newest there it stays, and if a newer one is there, which
            a server would take, it goes in once more under a number of its own.
        label: `stable`, or `canary` for one that is tried beside what is stable.

    Returns:
        Where the version lies now.

    Raises:
        ConfigError: If a setting cannot be used.
        DataError: If the version is not blessed, is there already, would not be served, was rolled back, or is worse; or
            the directory cannot be written.
    """
    if keep is not None and keep < 1:
        raise ConfigError(f"The number of versions to keep must be at least 1. Received: {keep}.")
    check_name("label", LABELS, label)
    directory = ServingDirectory(to)
    folder = Path(folder)
    blessing = read_blessing(folder)
    metadata = read_metadata(folder)
    version = metadata["version"]
    place = directory.place(metadata["name"])
    present = place.versions()
    for number, taken_back in place.rolled_back().items():
        if served_fingerprint(taken_back) == fingerprint(folder):
            raise DataError(
                f"{folder} was pushed as version {number} and rolled back. Expected another export. Delete {taken_back} to "
                "push it again."
            )
    newest = max(present, default=0)
    is_newest = again and newest > 0 and served_fingerprint(present[newest]) == fingerprint(folder)
    if is_newest:
        version = newest
    elif again and version <= newest:
        version = max(int(time.time()), newest + 1)
    if version < newest:
        raise DataError(
            f"Version {version} would not be served: {place.folder} has version {newest}, and a server takes the largest."
        )
    if unless_worse_than is not None:
        other = _other(unless_worse_than, present, place)
        say(_compare(folder, metadata, other, metric, tolerance, run) if other else "Nothing is served yet.")
    try:
        with directory.locked():
            others = directory.served(apart_from=metadata["name"])
            labels = labels_after(place.labels(), label, version)
            pushed = present[version] if is_newest else place.add(folder, version)
            place.write(blessing_path(Path(pushed)).name, json.dumps(blessing, indent=2) + "\n")
            there = list(place.versions())
            old = [number for number in there[: -keep if keep else 0] if number not in labels.values()]
            left = [number for number in there if number not in old]
            place.write_labels(labels)
            directory.write_server_files([*others, ModelEntry.of(metadata, left, labels)])
            for number in old:
                place.remove(number)
                say(f"Removed version {number}.")
    except (tf.errors.OpError, OSError) as error:
        raise DataError(f"{place.folder} cannot be written: {first_line(error)}") from error
    return pushed


def _other(wanted: str, present: dict[int, str], place: Place) -> str | None:
    """Returns the folder of the version to compare with; None where nothing is served yet."""
    if wanted == SERVED:
        return present[place.labels()[STABLE]] if present else None
    if not wanted.isdigit() or int(wanted) not in present:
        known = ", ".join(map(str, present)) or "none"
        raise ConfigError(
            f"--unless-worse-than expects '{SERVED}' or a version in {place.folder} ({known}). Received: '{wanted}'."
        )
    return present[int(wanted)]


def _compare(
    folder: Path, metadata: dict[str, Any], other: str, metric: str | None, tolerance: float, run: Path | SavedRun | None
) -> str:
    """Ranks the clean test of the version's run by both versions; returns the figures, or raises that it is worse."""
    if run is None and "run" not in metadata:
        raise DataError(
            f"{folder} was exported without a run, so there is no clean test to compare on. Name one with --run."
        )
    saved = run if isinstance(run, SavedRun) else SavedRun.open(run or Path(metadata["run"]))
    name = metric or f"recall@{saved.config.evaluate.k[0]}"
    cut = name.rpartition("@")[2]
    if not cut.isdigit() or not 1 <= int(cut) <= metadata["k"]:
        raise ConfigError(f"--metric expects a metric at 1 to {metadata['k']}, such as recall@20. Received: '{name}'.")
    values = []
    for version in (str(folder), other):
        metrics = served_metrics(version, saved.data, saved.config, [int(cut)], exclude=True)
        if name not in metrics:
            raise ConfigError(f"Unknown metric '{name}'. Known: {', '.join(metrics)}.")
        values.append(metrics[name])
    found = f"{name} {values[0]:.4f} against {values[1]:.4f} of {other}, on the clean test of {saved.folder}"
    if values[0] < values[1] - tolerance:
        raise DataError(f"{folder} is worse than the version it would replace, so it is not pushed: {found}.")
    return f"{found}."
