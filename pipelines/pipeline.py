"""A pipeline: steps joined by their artifacts, checked as a whole before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from tfadt.components.component import Step
from tfadt.errors import ConfigError, did_you_mean

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Pipeline:
    """A graph of steps without cycles.

    Args:
        name: What records call it; letters, digits, `_`, `.` and `-`.
        steps: The nodes in any order.

    Attributes:
        name: As given.
        steps: By name, each after all that it waits for.
        is_part: Whether it is what `until` has left of another pipeline.

    Raises:
        ConfigError: If two steps have one name, an input comes from nowhere or from an output of another type, or steps
            wait for each other; names the step.
    """

    def __init__(self, name: str, steps: Sequence[Step]):
        if not _NAME.fullmatch(name):
            raise ConfigError(f"The name of a pipeline has letters, digits, '_', '.' and '-' only. Received: '{name}'.")
        self.name = name
        self.is_part = False
        by_name: dict[str, Step] = {}
        for step in steps:
            if step.name in by_name:
                output = next(iter(step.component.signature.outputs))
                raise ConfigError(
                    f"Two steps are called '{step.name}', so that both would make the output '{step.name}.{output}'. "
                    "Expected each name once."
                )
            by_name[step.name] = step
        for step in steps:
            _check_joints(step, by_name)
        self.steps = {step.name: step for step in _in_order(by_name)}

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps.values())

    def until(self, *names: str) -> Pipeline:
        """Returns the part of the pipeline that some steps need, these included.

        Raises:
            ConfigError: If there is no step of that name.
        """
        wanted = list(names)
        for name in wanted:
            if name not in self.steps:
                raise ConfigError(f"The pipeline {self.name} has no step '{name}'.{did_you_mean(name, self.steps)}")
            wanted += [other for other in self.steps[name].upstream if other not in wanted]
        part = Pipeline(self.name, [step for step in self if step.name in wanted])
        part.is_part = self.is_part or len(part) < len(self)
        return part

    def __len__(self) -> int:
        return len(self.steps)


def _check_joints(step: Step, by_name: dict[str, Step]) -> None:
    for name in step.waits_for:
        if name not in by_name:
            raise ConfigError(f"Step '{step.name}' waits for '{name}', which is no step.{did_you_mean(name, by_name)}")
    for name, ref in step.inputs.items():
        where = f"Step '{step.name}' (component '{step.component.name}'): the input '{name}'"
        if ref.step not in by_name:
            raise ConfigError(f"{where} comes from '{ref.step}', which is no step.{did_you_mean(ref.step, by_name)}")
        outputs = by_name[ref.step].component.signature.outputs
        if ref.output not in outputs:
            raise ConfigError(
                f"{where} comes from '{ref.step}.{ref.output}', which is no output.{did_you_mean(ref.output, outputs)}"
            )
        expected, received = step.component.signature.inputs[name].type, outputs[ref.output]
        if not issubclass(received, expected):
            raise ConfigError(
                f"{where} must be of type {expected.__name__}. Received: '{ref.step}.{ref.output}' of type "
                f"{received.__name__}."
            )


def _in_order(by_name: dict[str, Step]) -> list[Step]:
    """Returns the steps so that each comes after those it waits for, otherwise as they were given."""
    given = list(by_name)
    order = TopologicalSorter({name: step.upstream for name, step in by_name.items()})
    try:
        order.prepare()
    except CycleError as error:
        circle = error.args[1][:0:-1]
        start = circle.index(min(circle, key=given.index))
        circle = " -> ".join([*circle[start:], *circle[: start + 1]])
        raise ConfigError(
            f"Steps wait for each other in a circle, each for the next: {circle}. Expected no cycle."
        ) from error
    ready: list[str] = []
    done: list[str] = []
    while order.is_active():
        ready = sorted([*ready, *order.get_ready()], key=given.index)
        done.append(ready.pop(0))
        order.done(done[-1])
    return [by_name[name] for name in done]
