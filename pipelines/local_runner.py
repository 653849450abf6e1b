"""Runs a pipeline on this machine, in this process: in order, skipping what is unchanged, renaming what is complete."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tfadt.components.artifacts.base import Artifact
from tfadt.components.component import Step
from tfadt.errors import InterruptedRunError, TfadtError, writing
from tfadt.pipelines.lineage import last_pushed
from tfadt.pipelines.pipeline import Pipeline
from tfadt.pipelines.planning import PlannedStep, check_files, plan
from tfadt.pipelines.records import InputRecord, OutputRecord, Record, now
from tfadt.pipelines.step_log import step_log
from tfadt.pipelines.store import RECORD, RunState, StepState, Store
from tfadt.versions import versions


class StepError(TfadtError):
    """A step failed; the sentence names it, its inputs and its log."""


class Listener:
    """Listens to a run and says nothing. A listener overrides what it wants to hear."""

    def begin(self, step: str) -> None:
        """Hears that a step begins."""

    def line(self, step: str, text: str) -> None:
        """Hears a line that a step prints."""

    def end(self, step: str, state: StepState) -> None:
        """Hears that a step is complete, or was."""


@dataclass(frozen=True)
class StepResult:
    """A complete step of a run: its record, whether this run executed it, and where its outputs lie."""

    record: Record
    executed: bool
    outputs: dict[str, Path]


def run(
    pipeline: Pipeline,
    folder: Path,
    config: dict[str, Any] | None = None,
    listener: Listener | None = None,
    before_steps: Callable[[], object] | None = None,
) -> dict[str, StepResult]:
    """Runs a pipeline until every step is complete.

    A step is executed if no complete execution of the same component code, parameters, outside files and inputs lies in
    the folder. After a kill or a failure the same call goes on where that was.

    Args:
        pipeline: What to run.
        folder: Where artifacts lie; made if there is none.
        config: The settings that the pipeline was made of, to be kept with its state.
        listener: Hears how the run goes on.
        before_steps: Called once before the first step is checked or executed; not at all if every step is complete.

    Returns:
        The results by step name.

    Raises:
        ConfigError: If a step's settings cannot be used, before any step runs; if another runner is at work in the folder.
        DataError: If a file is missing or an artifact was changed, before any step runs; if the folder cannot be written.
        StepError: If a step fails.
        InterruptedRunError: If a signal asked a training to stop; it has kept a checkpoint.
    """
    is_new = not Store.holds(folder)
    if is_new:  # what is refused leaves no folder
        _check(list(pipeline), before_steps)
    with writing(f"The folder {folder}"), Store.locked(folder) as store:
        planned = plan(pipeline, store)
        if not is_new:
            _check([each.step for each in planned if each.record is None], before_steps)
        return _Run(pipeline, store, planned, config or {}, listener or Listener()).all_steps()


def _check(steps: Sequence[Step], before_steps: Callable[[], object] | None) -> None:
    """Raises for what would fail when steps run."""
    for step in steps:
        check_files(step)
    if before_steps is not None and steps:
        before_steps()
    for step in steps:
        step.check()


class _Run:
    """One run, while its lock is held."""

    def __init__(
        self, pipeline: Pipeline, store: Store, planned: Sequence[PlannedStep], config: dict[str, Any], listener: Listener
    ):
        self._pipeline = pipeline
        self._store = store
        self._planned = planned
        self._listener = listener
        self._made: dict[str, Record] = {}
        steps = {each.step.name: StepState(execution=each.execution, state="waiting") for each in planned}
        last = store.state(pipeline.name)
        self._state = RunState(config=config, started=now(), steps=steps, complete=last.complete if last else {})

    def all_steps(self) -> dict[str, StepResult]:
        results = {}
        try:
            for each in self._planned:
                results[each.step.name] = self._step(each)
            if not self._pipeline.is_part:
                self._state.complete = {each.step.name: each.execution for each in self._planned}
        except (StepError, InterruptedRunError) as error:
            self._state.error = str(error)
            raise
        except KeyboardInterrupt:
            self._state.error = "Stopped."
            raise
        finally:
            self._state.finished = now()
            self._save_state()
            self._store.digests.save()
        return results

    def _step(self, planned: PlannedStep) -> StepResult:
        state = self._state.steps[planned.step.name]
        # Two steps of a pipeline can be the same execution: the second finds what the first has just made.
        record = planned.record or self._made.get(planned.execution)
        executed = record is None
        if record is None:
            state.state = "running"
            self._save_state()
            self._listener.begin(planned.step.name)
            try:
                record = self._made[planned.execution] = self._execute(planned)
            except StepError:
                state.state = "failed"
                raise
            state.seconds = record.seconds
        state.state = "done" if executed else "unchanged"
        self._listener.end(planned.step.name, state)
        outputs = {name: self._store.artifact(planned.execution, name) for name in record.outputs}
        return StepResult(record, executed, outputs)

    def _execute(self, planned: PlannedStep) -> Record:
        step, execution, store = planned.step, planned.execution, self._store
        partial = store.partial(execution)
        shutil.rmtree(partial / "outputs", ignore_errors=True)
        (partial / "outputs").mkdir(parents=True)
        (partial / "work").mkdir(exist_ok=True)
        inputs = {name: store.artifact(ref.execution, ref.output) for name, ref in planned.identity.inputs.items()}
        outputs = {name: partial / "outputs" / name for name in step.component.signature.outputs}
        started, begun = now(), time.perf_counter()
        listed = ", ".join(f"{name} = {path}" for name, path in inputs.items()) or "none"
        try:
            with step_log(
                store.log(execution),
                f"step {step.name}; inputs: {listed}; parameters: {planned.identity.parameters}",
                lambda text: self._listener.line(step.name, text),
            ):
                previous = self._previous(planned)
                made = step.component.execute(
                    inputs,
                    outputs,
                    step.parameters,
                    partial / "work",
                    {name: store.artifact(ref.execution, ref.output) for name, ref in previous.items()},
                )
                described = {
                    name: OutputRecord(
                        type=type(artifact).__name__, digest=store.digests.of_path(artifact.path), summary=artifact.summary()
                    )
                    for name, artifact in made.items()
                }
        except InterruptedRunError:
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, TfadtError) else f"{type(error).__name__}: {error}".splitlines()[0]
            sentence = reason if reason.endswith("?") else reason.rstrip(".") + "."
            raise StepError(
                f"Step '{step.name}' failed: {sentence} Inputs: {listed}. Log: {store.log(execution)}."
            ) from error
        record = Record(
            identity=planned.identity,
            step=step.name,
            pipeline=self._pipeline.name,
            outputs=described,
            previous=previous,
            started=started,
            seconds=round(time.perf_counter() - begun, 3),
            versions=versions(),
        )
        (partial / "outputs" / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        store.commit(execution)
        return record

    def _previous(self, planned: PlannedStep) -> dict[str, InputRecord]:
        """Finds what earlier runs left that the step asks for."""
        found: dict[str, InputRecord] = {}
        for argument, wanted in planned.step.component.signature.previous.items():
            if wanted.pushed:
                own = {source.execution for source in planned.identity.inputs.values()}
                source = last_pushed(self._store, self._pipeline.name, wanted.type, apart_from=own)
            else:
                source = self._made_before(planned, wanted.type)
            if source is not None:
                record = self._store.record(source.execution)
                assert record is not None
                self._store.check_outputs(source.execution, record)
                found[argument] = source
        return found

    def _made_before(self, planned: PlannedStep, kind: type[Artifact]) -> InputRecord | None:
        """Finds the step's output of a type when it last ran on other inputs."""
        prefix = planned.execution.rpartition("-")[0] + "-"
        records = [self._store.record(name) for name in self._store.executions() if name.startswith(prefix)]
        place = (self._pipeline.name, planned.step.name)
        own = [record for record in records if record is not None and (record.pipeline, record.step) == place]
        earlier = [record for record in own if record.identity.inputs != planned.identity.inputs]
        if not earlier:
            return None
        last = max(earlier, key=lambda record: datetime.fromisoformat(record.started))
        made = [InputRecord(execution=last.identity.execution, output=name) for name in last.outputs_of(kind.__name__)]
        return made[0] if made else None

    def _save_state(self) -> None:
        self._store.save_state(self._pipeline.name, self._state)
