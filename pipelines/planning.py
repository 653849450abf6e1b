"""What a run of a pipeline would do: which execution each step is, whether it is complete, and if not, why it would run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tfadt.components.artifacts.base import Artifact
from tfadt.components.component import Step
from tfadt.errors import DataError
from tfadt.pipelines.code_version import CodeVersions
from tfadt.pipelines.pipeline import Pipeline
from tfadt.pipelines.records import Digests, Identity, InputRecord, Record, differences
from tfadt.pipelines.store import RunState, Store


@dataclass(frozen=True)
class PlannedStep:
    """A step, what its result depends on, and the record if it is complete."""

    step: Step
    identity: Identity
    record: Record | None

    @property
    def execution(self) -> str:
        """Name of the execution."""
        return self.identity.execution


def plan(pipeline: Pipeline, store: Store) -> list[PlannedStep]:
    """Returns the steps in order, each with its identity; nothing runs.

    Raises:
        DataError: If a file that a step reads is missing, or a record or an artifact of a complete step was changed.
    """
    planned = []
    for step, identity in identities(pipeline, store.digests).items():
        record = store.record(identity.execution)
        if record is not None:
            store.check_outputs(identity.execution, record)
            if not all(output.is_current() for output in _outputs(pipeline.steps[step], identity, store)):
                record = None
        planned.append(PlannedStep(pipeline.steps[step], identity, record))
    return planned


def _outputs(step: Step, identity: Identity, store: Store) -> list[Artifact]:
    kinds = step.component.signature.outputs
    return [kind(store.artifact(identity.execution, name)) for name, kind in kinds.items()]


def identities(pipeline: Pipeline, digests: Digests) -> Mapping[str, Identity]:
    """Returns what the result of each step depends on, by step name.

    Raises:
        DataError: If a file that a step reads is missing; names the step.
    """
    found: dict[str, Identity] = {}
    code = CodeVersions()
    for step in pipeline:
        found[step.name] = Identity(
            component=step.component.path,
            code=code.of(step.component.function.__module__),
            parameters=step.parameters_as_json(),
            files=_files(step, digests),
            inputs={
                name: InputRecord(execution=found[source.step].execution, output=source.output)
                for name, source in step.inputs.items()
            },
        )
    return found


def check_files(step: Step) -> None:
    """Raises DataError if a file that a step reads is missing."""
    for path in step.files():
        if not path.exists():
            raise DataError(f"Step '{step.name}' reads {path}, which does not exist.")


def _files(step: Step, digests: Digests) -> dict[str, str]:
    check_files(step)
    return {str(path): digests.of_path(path) for path in step.files()}


@dataclass(frozen=True)
class StepStatus:
    """How far one step is.

    Attributes:
        step: Its name.
        execution: What it is executed as.
        state: `complete`, `running`, `interrupted`, `failed` or `to run`.
        note: When it was made and how long it took, or why it would run.
        record: Of a complete step.
    """

    step: str
    execution: str
    state: str
    note: str
    record: Record | None = None


def status(pipeline: Pipeline, store: Store) -> list[StepStatus]:
    """Returns the status of each step, in order; nothing runs.

    Raises:
        DataError: If a file that a step reads is missing, or an artifact of a complete step was changed.
    """
    last = store.state(pipeline.name)
    return [_of(each, last, store) for each in plan(pipeline, store)]


def _of(planned: PlannedStep, last: RunState | None, store: Store) -> StepStatus:
    name, execution = planned.step.name, planned.execution
    if planned.record is not None:
        note = f"{planned.record.started}, {planned.record.seconds:.1f} s"
        return StepStatus(name, execution, "complete", note, planned.record)
    before = last.steps.get(name) if last is not None else None
    if before is not None and before.execution == execution:
        if before.state == "failed":
            return StepStatus(name, execution, "failed", f"log: {store.log(execution)}")
        if before.state == "running":
            state = "running" if store.is_locked() else "interrupted"
            return StepStatus(name, execution, state, f"log: {store.log(execution)}")
    return StepStatus(name, execution, "to run", "; ".join(_why(planned, before.execution if before else None, store)))


def _why(planned: PlannedStep, before: str | None, store: Store) -> list[str]:
    record = store.record(before) if before is not None else None
    if record is None:
        return ["not run yet"]
    return differences(record.identity, planned.identity) or ["what it left is gone"]
