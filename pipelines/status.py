"""How far a pipeline is: for each step whether it is complete, and if not, why it would run."""

from __future__ import annotations

from dataclasses import dataclass

from tfadt.pipelines.pipeline import Pipeline
from tfadt.pipelines.planning import PlannedStep, plan
from tfadt.pipelines.records import Record, differences
from tfadt.pipelines.store import RunState, Store


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
