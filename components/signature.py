"""What a component's function says of itself by its annotations: inputs, outputs, parameters."""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from tfadt.components.artifacts.base import Artifact
from tfadt.components.parameters import ParameterSpec


class _Role(enum.Enum):
    INPUT = enum.auto()
    OUTPUT = enum.auto()
    PARAMETER = enum.auto()
    PREVIOUS = enum.auto()
    PUSHED = enum.auto()
    WORK = enum.auto()


A = TypeVar("A", bound=Artifact)
T = TypeVar("T")

Input = Annotated[A, _Role.INPUT]
"""An artifact that the step reads; `Input[Model] | None = None` where a pipeline may leave it out."""
Output = Annotated[A, _Role.OUTPUT]
"""An artifact that the step writes: its folder is missing or empty at first."""
Parameter = Annotated[T, _Role.PARAMETER]
"""A setting: text, number, boolean, a section of the configuration, or lists and mappings of these."""
Previous = Annotated[A, _Role.PREVIOUS]
"""`Previous[T] | None = None`: what an output of type T was in an earlier run, if any; never a reason to run again."""
LastPushed = Annotated[A, _Role.PUSHED]
"""`LastPushed[T] | None`: the input of type T of the last push of this pipeline that is not of the same data and was not
rolled back, if any; never a reason to run again."""
WorkFolder = Annotated[Path, _Role.WORK]
"""A folder for checkpoints: it outlives a kill, so that the step can go on, and goes when the step is complete."""


@dataclass(frozen=True)
class InputSpec:
    """An input: its artifact type and whether a pipeline may leave it out."""

    type: type[Artifact]
    optional: bool


@dataclass(frozen=True)
class PreviousSpec:
    """What an earlier run left: its artifact type, and whether of the last push rather than of the step itself."""

    type: type[Artifact]
    pushed: bool


@dataclass(frozen=True)
class Signature:
    """The arguments of a component by what they are.

    Attributes:
        inputs, outputs, parameters, previous: By argument name.
        work: Name of the argument that takes a work folder, if there is one.
    """

    inputs: Mapping[str, InputSpec]
    outputs: Mapping[str, type[Artifact]]
    parameters: Mapping[str, ParameterSpec]
    previous: Mapping[str, PreviousSpec]
    work: str | None


def read_signature(function: Callable[..., None]) -> Signature:
    """Reads the annotations of a function.

    Raises:
        TypeError: If an argument is not annotated as `Input`, `Output`, `Parameter`, `Previous`, `LastPushed` or
            `WorkFolder`, or there is no output.
    """
    inputs: dict[str, InputSpec] = {}
    outputs: dict[str, type[Artifact]] = {}
    parameters: dict[str, ParameterSpec] = {}
    previous: dict[str, PreviousSpec] = {}
    work = None
    hints = get_type_hints(function, include_extras=True)
    for argument in inspect.signature(function).parameters.values():
        role, kind, optional = _read_hint(hints.get(argument.name))
        if role is _Role.INPUT:
            inputs[argument.name] = InputSpec(kind, optional)
        elif role is _Role.OUTPUT and not optional:
            outputs[argument.name] = kind
        elif role is _Role.PARAMETER and not optional:
            parameters[argument.name] = ParameterSpec(argument.name, kind, argument.default)
        elif role in (_Role.PREVIOUS, _Role.PUSHED) and optional:
            previous[argument.name] = PreviousSpec(kind, role is _Role.PUSHED)
        elif role is _Role.WORK and not optional:
            work = argument.name
        else:
            raise TypeError(
                f"Component '{function.__name__}': the argument '{argument.name}' must be annotated as Input, Output, "
                f"Parameter, Previous or LastPushed (or None), or WorkFolder. Received: {hints.get(argument.name)}."
            )
    if not outputs:
        raise TypeError(f"Component '{function.__name__}' needs an output.")
    return Signature(inputs, outputs, parameters, previous, work)


def _read_hint(hint: Any) -> tuple[_Role | None, Any, bool]:
    """Returns the role, the type inside, and whether None is allowed beside it."""
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for member in members:
        if get_origin(member) is Annotated:
            kind, *marks = get_args(member)
            role = next((mark for mark in marks if isinstance(mark, _Role)), None)
            if role is not None:
                return role, kind, type(None) in members
    return None, None, False
