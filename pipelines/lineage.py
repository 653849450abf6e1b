"""Which data, settings and code made an artifact, read from the execution records; and the removal of what nothing needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tfadt.components.artifacts.base import Artifact
from tfadt.components.artifacts.pushed_model import PushedModel
from tfadt.components.artifacts.saved_model import SavedModel
from tfadt.errors import DataError
from tfadt.pipelines.records import InputRecord, Record
from tfadt.pipelines.store import Store
from tfadt.serving.metadata import METADATA_FILE, read_metadata


@dataclass(frozen=True)
class Lineage:
    """An execution and those that its inputs come from.

    Attributes:
        store: Where the artifacts lie.
        root: Name of the execution.
        records: Every execution that is part of it, by name.
    """

    store: Store
    root: str
    records: dict[str, Record]

    def as_dict(self) -> dict[str, Any]:
        """Returns all records, JSON-ready."""
        return {"root": self.root, "executions": {name: r.model_dump(mode="json") for name, r in self.records.items()}}

    def lines(self) -> Iterator[str]:
        """Yields the tree as text, the artifact first; an execution that occurs again is only named."""
        shown: set[str] = set()

        def show(name: str, depth: int, as_input: str) -> Iterator[str]:
            record, indent = self.records[name], "  " * depth
            yield f"{indent}{as_input}{record.step}: {name}"
            if name in shown:
                return
            shown.add(name)
            yield f"{indent}  made {record.started} by {record.identity.component}, code {record.identity.code[:16]}"
            yield f"{indent}  with {', '.join(f'{package} {version}' for package, version in record.versions.items())}"
            for parameter, value in record.identity.parameters.items():
                yield f"{indent}  {parameter} = {json.dumps(value, ensure_ascii=False)}"
            for path, digest in record.identity.files.items():
                yield f"{indent}  file {path}: SHA-256 {digest}"
            for output, made in record.outputs.items():
                yield f"{indent}  output {output} ({made.type}): {json.dumps(made.summary, ensure_ascii=False)}"
            for argument, source in record.identity.inputs.items():
                yield from show(source.execution, depth + 2, f"{argument} <- {source.output} of ")
            for argument, source in record.previous.items():
                yield f"{indent}    {argument} <- {source.output} of {source.execution} (an earlier run)"

        yield from show(self.root, 0, "")


def trace(artifact: Path) -> Lineage:
    """Returns the lineage of an artifact.

    Args:
        artifact: Its folder in a pipeline's folder, or any file in it; or a version that a pipeline has exported, wherever
            it was pushed to.

    Raises:
        DataError: If it lies in no pipeline's folder, or a record is missing or was changed.
    """
    place = Path(artifact).resolve()
    metadata = read_metadata(place) if (place / METADATA_FILE).is_file() else {}
    place = Path(metadata.get("run", place))
    for folder in (place, *place.parents):
        if folder.parent.name == "artifacts" and Store.holds(folder.parent.parent):
            store = Store(folder.parent.parent)
            root = _export(store, metadata) if metadata else folder.name
            return Lineage(store, root, records_of(store, [root]))
    raise DataError(
        f"{artifact} is no artifact of a pipeline. Expected a path below a pipeline's artifacts, or a version that it has "
        "exported."
    )


def _export(store: Store, metadata: dict[str, Any]) -> str:
    """Returns the execution that exported a version, given what the version says of itself."""
    for name in store.executions():
        record = store.record(name)
        for made in record.outputs.values() if record is not None else ():
            if made.type == SavedModel.__name__ and all(made.summary[key] == metadata[key] for key in ("name", "version")):
                return name
    raise DataError(f"{store.folder} has no record of the export of {metadata['name']} {metadata['version']}.")


def records_of(store: Store, executions: list[str]) -> dict[str, Record]:
    """Returns the records of some executions and of all that their inputs come from.

    Raises:
        DataError: If one is missing or was changed.
    """
    found: dict[str, Record] = {}
    waiting = list(executions)
    while waiting:
        name = waiting.pop(0)
        if name in found:
            continue
        record = store.record(name)
        if record is None:
            raise DataError(f"{store.folder} has no record of the execution {name}. Expected {store.artifact(name, '')}.")
        found[name] = record
        waiting += [source.execution for source in record.identity.inputs.values()]
    return found


def last_pushed(store: Store, pipeline: str, kind: type[Artifact], apart_from: Collection[str]) -> InputRecord | None:
    """Returns an input of the last push of a pipeline that still stands.

    Args:
        store: Where its executions lie.
        pipeline: Its name.
        kind: Type of the input.
        apart_from: Executions that the push must not come from, such as the ingest of the same data.
    """
    found: list[tuple[datetime, InputRecord]] = []
    for name in store.executions():
        record = store.record(name)
        if record is None or record.pipeline != pipeline or not _stands(store, record):
            continue
        lineage = records_of(store, [name])
        if lineage.keys().isdisjoint(apart_from):
            started = datetime.fromisoformat(record.started)
            sources = record.identity.inputs.values()
            found += [(started, s) for s in sources if lineage[s.execution].outputs[s.output].type == kind.__name__]
    return max(found, key=lambda pushed: pushed[0])[1] if found else None


def _stands(store: Store, record: Record) -> bool:
    """Returns whether an execution pushed a version that was not taken back."""
    return any(each.summary()["pushed"] and not each.is_taken_back() for each in _pushes(store, record))


def _pushes(store: Store, record: Record) -> list[PushedModel]:
    names = record.outputs_of(PushedModel.__name__)
    return [PushedModel(store.artifact(record.identity.execution, name)) for name in names]


@dataclass(frozen=True)
class Cleaned:
    """What was removed.

    Attributes:
        paths: Folders of executions, remains of interrupted ones, and logs.
        bytes: Their size.
        kept: Number of complete executions that stay.
    """

    paths: list[Path]
    bytes: int
    kept: int


def clean(folder: Path, dry_run: bool = False) -> Cleaned:
    """Removes the executions that nothing refers to.

    What stays: for each pipeline the steps of its last run, with the checkpoints of one that was interrupted, and those of
    its last whole run that ended well; and all that made a version which is served from this machine.

    Args:
        folder: A pipeline's folder.
        dry_run: Only tell what would be removed.

    Raises:
        ConfigError: If a runner is at work in it.
        DataError: If it is no pipeline's folder.
    """
    Store(folder)  # refuses a folder that is none, rather than make one
    with Store.locked(folder) as store:
        complete = store.executions()
        kept = {execution for _, state in store.states() for execution in state.executions}
        kept |= {*records_of(store, [name for name in complete if _is_served(store, name)])}
        doomed = [
            path
            for part in ("artifacts", "partial", "logs")
            for path in sorted((folder / part).iterdir())
            # What is left in `partial` of a complete execution is of a kill just after it was complete.
            if path.name.removesuffix(".log") not in kept or (part == "partial" and path.name in complete)
        ]
        size = sum(_size(path) for path in doomed)
        for path in doomed if not dry_run else []:
            if path.parent.name == "artifacts":
                store.remove(path.name)
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    return Cleaned(doomed, size, len(kept.intersection(complete)))


def _is_served(store: Store, execution: str) -> bool:
    """Returns whether an execution pushed a version that still lies where it was pushed to."""
    record = store.record(execution)
    return record is not None and any(pushed.is_served() for pushed in _pushes(store, record))


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
